"""QEMU started by hand, without OpenLOM: to test the test material, and to compare with.

One machine with its serial port on a socket of ours (byte for byte), a USB CD and QMP.
"""

import json
import pathlib
import shutil
import socket
import subprocess

import pexpect.fdpexpect

OVMF_CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


class BareQemu:
    """A running QEMU; `.console` is a pexpect object on its first serial port. Use with `with`."""

    def __init__(self, folder, iso, firmware="bios", memory=512, accel="tcg", log=None):
        self.memory_dump = folder / "memory"
        serial, qemus_serial = socket.socketpair()
        qmp, qemus_qmp = socket.socketpair()
        options = ["-nodefaults", "-no-user-config", "-machine", "q35,graphics=off", "-accel", accel,
                   "-m", str(memory), "-vga", "std", "-display", "none", 
                   "-chardev", f"socket,id=serial,fd={qemus_serial.fileno()}", "-serial", "chardev:serial",
                   "-chardev", f"socket,id=qmp,fd={qemus_qmp.fileno()}", "-mon", "chardev=qmp,mode=control",
                   "-device", "qemu-xhci,id=usb", "-device", "usb-tablet,bus=usb.0",
                   "-blockdev", f"driver=file,node-name=iso,filename={iso},read-only=on",
                   "-device", "usb-bot,id=bot,bus=usb.0",
                   "-device", "scsi-cd,id=cd,bus=bot.0,drive=iso,bootindex=1"]
        if firmware == "uefi":
            variables = folder / "vars.fd"
            shutil.copy(OVMF_VARS, variables)
            options += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}",
                        "-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
        self.log = open(log, "wb") if log else None
        with qemus_serial, qemus_qmp:
            self._process = subprocess.Popen(["qemu-system-x86_64", *options], stdin=subprocess.DEVNULL,
                                             pass_fds=[qemus_serial.fileno(), qemus_qmp.fileno()])
        self._serial, self._qmp_socket = serial, qmp
        self.console = pexpect.fdpexpect.fdspawn(serial, timeout=60)
        self.console.logfile_read = self.log
        qmp.settimeout(20)
        self._qmp = qmp.makefile("rw")
        self._qmp.readline()  # the greeting
        self.qmp("qmp_capabilities")

    def qmp(self, command, **arguments):
        """Runs one QMP command, gives what it returns."""
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while True:
            reply = json.loads(self._qmp.readline())
            if "event" not in reply:
                return reply["return"]

    def screen_text(self):
        """What the VGA text screen shows, in lines."""
        self.qmp("pmemsave", val=0xB8000, size=80 * 25 * 2, filename=str(self.memory_dump))
        cells = self.memory_dump.read_bytes()[::2].decode("cp437").replace("\0", " ")
        return [cells[at:at + 80].rstrip() for at in range(0, len(cells), 80)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        for end in (self._qmp, self._qmp_socket, self._serial):
            end.close()
        if self.log:
            self.log.close()
