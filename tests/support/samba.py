"""A private Samba for tests: one share on a free port of loopback, an account of its own and guests.

    with Samba(tmp_path) as server:
        server.put("image.iso", data); server.uri("image.iso")
        server.credentials(); server.stop(); server.start()   # the same port again
"""

import os
import subprocess

from tests.support.served_folder import ServedFolder
from tests.support.sshd import free_port

SMBD = "/usr/sbin/smbd"
USER, PASSWORD = "daemon", "Trombone-4"  # Samba wants an account that the machine has


def missing():
    return "" if os.path.exists(SMBD) else f"{SMBD} is missing (package samba)"


class Samba(ServedFolder):
    def __init__(self, folder):
        super().__init__(folder, "samba")
        self.port = free_port()
        self.config = self.folder / "smb.conf"

    def uri(self, name, share="images"):
        return f"smb://127.0.0.1:{self.port}/{share}/{name}"

    @staticmethod
    def credentials(username=USER, password=PASSWORD):
        return {"username": username, "password": password}

    def configure(self):
        if self.config.exists():
            return
        places = "".join(f"{what} directory = {self.folder}/{what}\n"
                         for what in ("private", "lock", "state", "cache", "pid", "ncalrpc"))
        for what in ("private", "lock", "state", "cache", "pid", "ncalrpc"):
            (self.folder / what).mkdir()
        places = places.replace("private directory", "private dir").replace("ncalrpc directory", "ncalrpc dir")
        self.config.write_text(f"""
[global]
server role = standalone server
interfaces = 127.0.0.1/8
bind interfaces only = yes
smb ports = {self.port}
disable netbios = yes
map to guest = never
passdb backend = tdbsam:{self.folder}/private/passwords.tdb
rpc start on demand helpers = no
load printers = no
printcap name = /dev/null
log level = 1
logging = file
log file = {self.folder}/log
{places}
[images]
path = {self.files}
valid users = {USER}
read only = yes
""")
        self.files.chmod(0o755)
        subprocess.run(["smbpasswd", "-c", self.config, "-a", "-s", USER], input=f"{PASSWORD}\n{PASSWORD}\n",
                       text=True, check=True, capture_output=True)

    def command(self):
        return [SMBD, "--foreground", "--no-process-group", "-s", str(self.config), "-l", str(self.folder)]

    def is_open(self):
        """Whether a client has any file open."""
        told = subprocess.run(["smbstatus", "-s", self.config, "-L"], capture_output=True, text=True, check=False)
        return "No locked files" not in told.stdout + told.stderr
