"""What a systemd unit confines, put on a child process without systemd: a user of its own with the ambient
capabilities, no new privileges, the system calls, name spaces and address families. (Not: devices, which are a cgroup's.)

    sandbox = Sandbox(unit_file)
    subprocess.Popen(..., preexec_fn=sandbox.enter)
"""

import ctypes
import errno
import os
import pathlib
import re
import struct
import subprocess

import seccomp

PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 8, 23, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAPABILITY_VERSION_3 = 0x20080522
USER = 60999  # stands for the unit's User=: a number that no account has
CLONE_NEW = {"mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
             "pid": 0x20000000, "net": 0x40000000}
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
# Linux's own numbers, from linux/capability.h.
CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_KILL": 5, "CAP_SETGID": 6,
                "CAP_SETUID": 7, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_RAW": 13, "CAP_SYS_PTRACE": 19,
                "CAP_SYS_ADMIN": 21}


class Sandbox:
    user = USER

    def __init__(self, unit):
        self.settings = {}
        for line in pathlib.Path(unit).read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                self.settings.setdefault(name, []).extend(value.split())
        self.kept = {CAPABILITIES[name] for name in self.settings["CapabilityBoundingSet"]}
        self.own = {CAPABILITIES[name] for name in self.settings["AmbientCapabilities"]}
        assert self.settings["User"] == ["openlom"] and self.own <= self.kept
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.filter = self._filter()

    def _filter(self):
        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        sets = self.settings["SystemCallFilter"]
        assert sets[0].startswith("~"), "a list of what is denied"
        for name in [sets[0][1:], *sets[1:]]:
            for call in calls_of(name):
                try:
                    rules.add_rule(seccomp.ERRNO(errno.EPERM), call)
                except (RuntimeError, ValueError):
                    pass  # not a call of this processor
        for name in set(CLONE_NEW) - set(self.settings["RestrictNamespaces"]):
            for call in ("unshare", "clone"):
                rules.add_rule(seccomp.ERRNO(errno.EPERM), call,
                               seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEW[name], CLONE_NEW[name]))
        allowed = {FAMILIES[name] for name in self.settings["RestrictAddressFamilies"]}
        for family in set(range(46)) - allowed:
            rules.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", seccomp.Arg(0, seccomp.EQ, family))
        return rules

    def enter(self):
        """In the child, before exec."""
        for capability in range(64):
            if capability not in self.kept and self.libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
                assert self.libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0
        self._change_user()
        assert self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        self.filter.load()

    def _change_user(self):
        assert self.libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        mask = sum(1 << capability for capability in self.own)
        header = struct.pack("II", CAPABILITY_VERSION_3, 0)
        assert self.libc.capset(header, struct.pack("6I", mask, mask, mask, 0, 0, 0)) == 0
        for capability in self.own:
            assert self.libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0


def calls_of(name):
    """The system calls of one of systemd's sets, the sets in it too."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    for word in re.findall(r"(?m)^ +([@\w]+)$", listed.stdout):
        if word.startswith("@"):
            yield from calls_of(word)
        else:
            yield word
