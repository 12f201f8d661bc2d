# SPDX-License-Identifier: Apache-2.0
# What the filters of the table are written with.
def args($list): .process.args = ["/probe"] + $list;
def namespace($type): .linux.namespaces += [{ type: $type }];
def without($type): .linux.namespaces |= map(select(.type != $type));
def mount($destination; $type; $source; $options):
        .mounts += [{ destination: $destination, type: $type, source: $source, options: $options }];
def bind($destination; $source; $options): mount($destination; "bind"; $source; $options);
def tmpfs($destination; $options): mount($destination; "tmpfs"; "tmpfs"; $options);
def mapped($destination; $inside; $outside; $size):
        .mounts |= map(if .destination == $destination
                then .uidMappings = [{ containerID: $inside, hostID: $outside, size: $size }] | .gidMappings = .uidMappings
                else . end);
def options($destination; $options):
        .mounts |= map(if .destination == $destination then .options = $options else . end);
def unmounted($destination): .mounts |= map(select(.destination != $destination));
def caps($list): .process.capabilities = { bounding: $list, effective: $list, permitted: $list };
def all_caps: caps(["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
        "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
        "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_NICE", "CAP_SYS_PTRACE"]);
def rlimit($type; $soft; $hard): .process.rlimits += [{ type: $type, soft: $soft, hard: $hard }];
def resources(f): .linux.resources |= f;
def rule($allow; $type; $major; $minor; $access):
        .linux.resources.devices += [{ allow: $allow, type: $type, major: $major, minor: $minor, access: $access }];
def userns: namespace("user") | .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
        | .linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
def seccomp($default; $rules): .linux.seccomp = { defaultAction: $default, architectures: ["SCMP_ARCH_X86_64"],
        syscalls: $rules };
