"""A seccomp filter: the system calls that code under test has no business with.

What the namespaces leave reachable and rlimits do not count: new processes, memory that belongs
to no address space (memfd, System V), sockets of any family, and the parts of the kernel that
escapes have come through. Also what changes a file's owner, permissions, times and attributes: who
runs this as root owns the machine's devices in the sandbox too, and they are mounted writable, as
a read-only mount of a device is one without devices.

Classic BPF, as `bwrap --seccomp` takes it (seccomp(2), bpf(4)).
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass
from typing import Final

# linux/bpf_common.h, linux/seccomp.h, and struct seccomp_data {nr, arch, ip, args[6]}.
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_AT_LEAST: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000
_KILL: Final = 0x80000000
_CLONE_THREAD: Final = 0x00010000
# Calls of the x32 interface have this bit and other numbers.
_X32: Final = 0x40000000


@dataclass(frozen=True)
class _Machine:
    """System call numbers of one architecture.

    Attributes:
        audit: AUDIT_ARCH_*, what seccomp calls it.
        clone: Allowed for threads only.
        refused: Not allowed.
    """

    audit: int
    clone: int
    refused: tuple[int, ...]


# clone3 hides its flags in memory; refused as unknown, the C library uses clone.
_CLONE3: Final = 435
# The same everywhere: io_uring 425-427; the new mount calls 428-433, 442, 467; memfd_secret 447;
# pidfd_open and pidfd_getfd 434, 438, which take descriptors from other processes; fchmodat2 452;
# setxattrat 463, removexattrat 466, file_setattr 469.
_COMMON: Final = (*range(425, 435), 438, 442, 447, 452, 463, 466, 467, 469)
_MACHINES: Final = {
    "x86_64": _Machine(
        audit=0xC000003E,
        clone=56,
        refused=(
            57, 58,  # fork, vfork
            41,  # socket
            319, 29, 68, 64, 240,  # memfd_create, shmget, msgget, semget, mq_open
            253, 294,  # inotify_init, inotify_init1: a user has few of them on a machine
            90, 91, 268,  # chmod, fchmod, fchmodat
            92, 93, 94, 260,  # chown, fchown, lchown, fchownat
            132, 235, 261, 280,  # utime, utimes, futimesat, utimensat
            188, 189, 190, 197, 198, 199,  # setxattr, removexattr, and their l and f
            101, 310, 311,  # ptrace, process_vm_readv, process_vm_writev
            165, 166, 155, 161,  # mount, umount2, pivot_root, chroot
            272, 308,  # unshare, setns
            321, 298, 323,  # bpf, perf_event_open, userfaultfd
            248, 249, 250,  # add_key, request_key, keyctl
            303, 304,  # name_to_handle_at, open_by_handle_at
            246, 175, 313,  # kexec_load, init_module, finit_module
        ),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        refused=(
            198,  # socket
            279, 194, 186, 190, 180,  # memfd_create, shmget, msgget, semget, mq_open
            26,  # inotify_init1
            52, 53, 54, 55, 88,  # fchmod, fchmodat, fchownat, fchown, utimensat
            5, 6, 7, 14, 15, 16,  # setxattr, removexattr, and their l and f
            117, 270, 271,  # ptrace, process_vm_readv, process_vm_writev
            40, 39, 41, 51,  # mount, umount2, pivot_root, chroot
            97, 268,  # unshare, setns
            280, 241, 282,  # bpf, perf_event_open, userfaultfd
            217, 218, 219,  # add_key, request_key, keyctl
            264, 265,  # name_to_handle_at, open_by_handle_at
            104, 105, 273,  # kexec_load, init_module, finit_module
        ),
    ),
}  # fmt: skip


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """Return the filter for this machine, or None where its system calls are not known here."""
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, known.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_JUMP_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
    ]
    for number in (*known.refused, *_COMMON):
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    program += [
        (_JUMP_EQUAL, 0, 3, known.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _REFUSE | errno.EAGAIN),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
