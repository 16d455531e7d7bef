"""Open an envelope as a phone does. It needs nothing of Schoolbell: copy it into your app.

python unseal.py KEY PUSH_ID SEALED        (KEY in base64)
"""

import json
import sys
from base64 import b64decode, urlsafe_b64decode
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def unseal(key: bytes, push_id: str, sealed: str) -> dict[str, str]:
    """Return title, body, kind and push_id; raise ValueError or InvalidTag if it is not for us.

    Then show what came in clear beside the envelope.
    """
    envelope = urlsafe_b64decode(sealed)
    head, nonce, ciphertext = envelope[:9], envelope[9:21], envelope[21:]
    if head[:1] != b"\x01":
        raise ValueError("an envelope of a version that this program does not know")
    if head[1:] != sha256(key).digest()[:8]:
        raise ValueError("sealed for another key")
    plain = AESGCM(key).decrypt(nonce, ciphertext, head + push_id.encode("ascii"))
    text: dict[str, str] = json.loads(plain)  # the spaces at its end are none of JSON's concern
    return text


if __name__ == "__main__":
    print(unseal(b64decode(sys.argv[1]), *sys.argv[2:4]))  # noqa: T201
