"""A private NFS server for tests: nfs-ganesha, version 4 on a free port of loopback, one export.

    with Ganesha(tmp_path) as server:
        server.put("image.iso", data); server.uri("image.iso"); server.stop(); server.start()
"""

import os

from tests.support.served_folder import ServedFolder
from tests.support.sshd import free_port

GANESHA = "/usr/bin/ganesha.nfsd"


def missing():
    if not os.path.exists(GANESHA):
        return f"{GANESHA} is missing (package nfs-ganesha)"
    if not os.path.exists("/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so"):
        return "ganesha cannot serve folders (package nfs-ganesha-vfs)"
    return ""


class Ganesha(ServedFolder):
    def __init__(self, folder):
        super().__init__(folder, "ganesha")
        self.port = free_port()
        self.config = self.folder / "ganesha.conf"

    def uri(self, name, colon=""):
        return f"nfs://127.0.0.1:{self.port}{colon}/images/{name}"

    def configure(self):
        (self.folder / "state").mkdir(exist_ok=True)
        self.config.write_text(f"""
NFS_CORE_PARAM {{
    Protocols = 4;
    NFS_Port = {self.port};
    Bind_addr = 127.0.0.1;
    Enable_NLM = false;
    Enable_RQUOTA = false;
    Enable_UDP = false;
    Plugins_Dir = "/usr/lib/x86_64-linux-gnu/ganesha";
}}
NFSv4 {{ Graceless = true; Minor_Versions = 0, 1, 2; RecoveryRoot = "{self.folder}/state"; Only_Numeric_Owners = true; }}
EXPORT_DEFAULTS {{ Attr_Expiration_Time = 0; }}  # the tests change files behind its back
EXPORT {{
    Export_Id = 1;
    Path = "{self.files}";
    Pseudo = "/images";
    Access_Type = RO;
    Squash = None;
    SecType = sys;
    Protocols = 4;
    FSAL {{ Name = VFS; }}
}}
LOG {{ Default_Log_Level = WARN; }}
""")

    def command(self):
        return [GANESHA, "-F", "-f", str(self.config), "-L", str(self.folder / "log"),
                "-p", str(self.folder / "pid")]
