"""A gateway for benchmarks: HTTP/2 over TLS, next to no cost of its own.

It accepts every push, except for two projects of which it says the name's share is UNAVAILABLE.
"""

import http.client
import ssl
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Final

from tests.servers.certificates import CertificateAuthority
from tests.servers.private import PrivateServer
from tests.servers.processes import HOST, Child, Sandbox, answers, find_program

BINARIES: Final = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin")

# `return` alone answers before the body has come, and resets the stream while it is sent.
# `mirror` reads the whole body first; then the static handler refuses any POST, and its
# refusal becomes the answer.
_CONFIGURATION: Final = Template("""\
daemon off;
master_process off;
worker_processes 1;
pid $folder/nginx.pid;
error_log stderr warn;

events { worker_connections 4096; }

http {
    access_log off;
    log_not_found off;
    server_tokens off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    client_body_buffer_size 16k;

    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    keepalive_time 24h;
    http2_max_concurrent_streams 128;

    default_type application/json;

    split_clients $$request_id $$unlucky_1 { 1% yes; * ""; }
    split_clients $$request_id $$unlucky_10 { 10% yes; * ""; }

    server {
        listen $host:$port ssl http2 backlog=1024;
        ssl_certificate $certificate;
        ssl_certificate_key $key;
        ssl_protocols TLSv1.2 TLSv1.3;
        root $folder/none;
        mirror /read-the-body;
        mirror_request_body on;

        location /v1/projects/faulty-1/ { error_page 404 405 = @faulty_1; }
        location /v1/projects/faulty-10/ { error_page 404 405 = @faulty_10; }
        location /v1/projects/ { error_page 404 405 =200 @fcm; }
        location /3/device/ { error_page 404 405 =200 @apns; }
        location = /token { error_page 404 405 =200 @token; }
        location = /status { mirror off; stub_status; }
        location = /read-the-body { internal; mirror off; return 204; }
        location / { mirror off; return 404 '{}'; }

        location @fcm { $accepted }
        location @faulty_1 { if ($$unlucky_1) { $unavailable } $accepted }
        location @faulty_10 { if ($$unlucky_10) { $unavailable } $accepted }
        location @apns { add_header apns-id $$http_apns_id; return 200; }
        location @token {
            return 200 '{"access_token":"for-the-sink","expires_in":3599,"token_type":"Bearer"}';
        }
    }
}
""")

_ACCEPTED: Final = """return 200 '{"name":"projects/p/messages/1"}';"""
_UNAVAILABLE: Final = (
    """return 503 '{"error":{"code":503,"status":"UNAVAILABLE","details":[{"@type":"""
    """"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNAVAILABLE"}]}}';"""
)


class NginxSink(PrivateServer):
    """Accepts pushes: as FCM at /v1/projects/…, as APNs at /3/device/….

    Of the project `faulty-1` it refuses one push in a hundred for now, of `faulty-10` one in ten.

    /token gives an access token to anybody, in the manner of Google's OAuth endpoint.
    """

    name = "nginx"

    def __init__(self, *, binaries: Sequence[str] = BINARIES) -> None:
        super().__init__()
        self._nginx = find_program("nginx", binaries)
        self._status_requests = 0

    @property
    def url(self) -> str:
        """What comes before /v1/projects, /3/device and /token."""
        return f"https://{HOST}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The authority that signed the gateway's certificate."""
        return self.folder / "ca.pem"

    def answered(self) -> int:
        """How many requests were answered since the start."""
        context = ssl.create_default_context(cafile=self.ca_file)
        connection = http.client.HTTPSConnection(HOST, self.port, context=context, timeout=10)
        try:
            connection.request("GET", "/status")
            page = connection.getresponse().read().decode()
        finally:
            connection.close()
        self._status_requests += 1
        total = int(page.splitlines()[2].split()[2])  # accepted, handled, requests
        return total - self._status_requests

    def _prepare(self, sandbox: Sandbox) -> None:
        issued = CertificateAuthority(sandbox.folder).issue()
        configuration = _CONFIGURATION.substitute(
            folder=sandbox.folder,
            host=HOST,
            port=self.port,
            certificate=issued.certificate,
            key=issued.key,
            accepted=_ACCEPTED,
            unavailable=_UNAVAILABLE,
        )
        (sandbox.folder / "nginx.conf").write_text(configuration)

    def _launch(self, sandbox: Sandbox) -> Child:
        folder = sandbox.folder
        self._status_requests = 0
        return sandbox.start(
            [self._nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"],
            log="nginx.log",
        )

    def _is_ready(self) -> bool:
        return answers(self.port)
