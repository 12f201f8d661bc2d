/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A valid description for the tests of this folder; its descriptors are all /dev/null. */

#include <fcntl.h>

#include "basic/test.h"
#include "runtime/vmm/vm-config.h"

#define TEST_ROOT_HASH "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f"
#define TEST_SALT "abababababababababababababababababababababababababababababababab"

static inline VmConfig test_config(VmAccel accel, VmTransport transport)
{
        VmConfig c = VM_CONFIG_INIT;
        static const char hash[] = TEST_ROOT_HASH, salt[] = TEST_SALT;

        c.id = strdup("web");
        c.vmm_path = strdup("/usr/bin/qemu-system-x86_64");
        c.run_dir = strdup("/run/kata/web");
        c.kernel_path = strdup("/usr/share/kata/vmlinux");
        c.image_path = strdup("/usr/share/kata/guest.img");
        c.kernel_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        c.image_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        c.params = (GuestParams){ .image_size = 2023424, .root_offset = 20480, .data_blocks = 478,
                                  .hash_offset = 1961984 };
        memcpy(c.params.root_hash_hex, hash, sizeof(hash));
        memcpy(c.params.salt_hex, salt, sizeof(salt));
        c.memory = MIB(256);
        c.vcpus = 1;
        c.accel = accel;
        c.transport = transport;
        if (transport == VM_TRANSPORT_VSOCK) {
                c.cid = 70000;
                c.vhost_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        } else {
                c.share_tag = strdup("kataShared");
                c.share_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
        c.console = true;
        c.agent_log_level = strdup("debug");
        c.kernel_parameters = strdup("nokaslr");
        c.uid = c.gid = 65534;
        c.groups[0] = 106;
        c.n_groups = 1;
        return c;
}
