// What oidc-provider and jose expect of Node, for the Node 18 of Debian 12.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
URL.parse ??= (...words) => {
  try {
    return new URL(...words);
  } catch {
    return null;
  }
};
