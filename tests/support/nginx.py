"""A private nginx for tests: http and https on free ports of loopback, one folder of files.

    with Nginx(tmp_path) as server:
        server.put("image.iso", data); server.uri("image.iso"); server.uri("image.iso", tls=True)
        server.certificate, server.pin; server.stop(); server.start()   # the same ports again
"""

import base64
import hashlib
import os
import signal
import subprocess

from tests.support.served_folder import ServedFolder
from tests.support.sshd import children, free_port

NGINX = "/usr/sbin/nginx"


def missing():
    return None if os.path.exists(NGINX) else f"{NGINX} is missing (package nginx-light)"


class Nginx(ServedFolder):
    def __init__(self, folder, locations=""):
        super().__init__(folder, "nginx")
        self.port, self.tls_port = free_port(), free_port()
        self.locations = locations
        self.certificate = self.folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                        str(self.folder / "key.pem"), "-out", str(self.certificate)], check=True,
                       stderr=subprocess.DEVNULL)

    @property
    def pin(self):
        key = subprocess.run(["openssl", "pkey", "-in", str(self.folder / "key.pem"), "-pubout",
                              "-outform", "DER"], check=True, capture_output=True).stdout
        return "sha256//" + base64.b64encode(hashlib.sha256(key).digest()).decode()

    def uri(self, name, tls=False):
        return f"https://127.0.0.1:{self.tls_port}/{name}" if tls else \
            f"http://127.0.0.1:{self.port}/{name}"

    def configure(self):
        locations = self.locations.format(port=self.port, tls_port=self.tls_port)
        (self.folder / "config").write_text(f"""
daemon off; user root; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p;
  fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  server {{
    listen 127.0.0.1:{self.port}; listen 127.0.0.1:{self.tls_port} ssl;
    ssl_certificate {self.certificate}; ssl_certificate_key {self.folder}/key.pem;
    root {self.files};
    {locations}
  }}
}}
""")

    def command(self):
        return [NGINX, "-c", str(self.folder / "config"), "-e", str(self.folder / "log")]

    def kill(self):
        """The hard way: master and workers."""
        if self.process:
            for pid in [self.process.pid, *children(self.process.pid)]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None
