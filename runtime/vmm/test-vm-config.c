/* SPDX-License-Identifier: Apache-2.0 */
/* Description of a machine, guest.params, kernel command line. */

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "runtime/vmm/cmdline.h"
#include "runtime/vmm/test-util.h"
#include "runtime/vmm/vm-config.h"

static void check_invalid(VmConfig *c, const char *part)
{
        _cleanup_free_ char *message = NULL;

        ASSERT_TRUE(vm_config_validate(c, &message) < 0);
        ASSERT_CONTAINS(message, part);
        ASSERT_NULL(strchr(message, '\n'));
}

TEST(valid)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);

        ASSERT_OK(vm_config_validate(&c, NULL));
}

TEST(invalid)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        const VmConfig good = c;

#define CHECK(member, value, part)                                                                 \
        ({                                                                                         \
                c.member = (value);                                                                \
                check_invalid(&c, part);                                                           \
                c.member = good.member;                                                            \
        })
        char empty[] = "", relative[] = "run", newline[] = "/run/a\nb", bad_id[] = "../x",
             bad_tag[] = "a,b", loud[] = "loud", agent_word[] = "agent.log=trace";

        CHECK(id, empty, "sandbox id");
        CHECK(id, bad_id, "sandbox id");
        CHECK(accel, _VM_ACCEL_INVALID, "accelerator");
        CHECK(transport, _VM_TRANSPORT_INVALID, "transport");
        CHECK(run_dir, relative, "absolute");
        CHECK(run_dir, newline, "control character");
        CHECK(run_dir, NULL, "run-time directory");
        CHECK(kernel_fd, -EBADF, "is not open");
        CHECK(image_fd, -EBADF, "is not open");
        CHECK(machine, _VM_MACHINE_MAX, "machine is not set");
        CHECK(machine, VM_MACHINE_Q35, "q35 boots with an initrd");
        CHECK(initrd_path, bad_id, "initrd ../x is not open");
        CHECK(initrd_fd, 0, "is not open");
        CHECK(params.data_blocks, 0, "verity");
        CHECK(memory, MIB(1), "memory");
        CHECK(memory, VM_MEMORY_MAX + MIB(1), "memory");
        CHECK(memory, MIB(128) + 1, "whole MiB");
        CHECK(vcpus, 0, "virtual CPUs");
        CHECK(vcpus, VM_VCPUS_MAX + 1, "virtual CPUs");
        CHECK(cid, 77, "serial transport");
        CHECK(share_fd, -EBADF, "virtio-fs");
        CHECK(share_tag, bad_tag, "tag");
        CHECK(share_tag, NULL, "without a tag");
        CHECK(uid, 0, "root");
        CHECK(gid, 0, "root");
        CHECK(uid, (uid_t) -1, "user of the VMM");
        CHECK(groups[0], 0, "group of root");
        CHECK(agent_log_level, loud, "log level");
        CHECK(kernel_parameters, agent_word, "agent.log");

        CHECK(n_nics, VM_NICS_MAX + 1, "network interfaces");
        c.n_nics = 1;
        c.nics[0] = (VmNic) { .tap_fd = -EBADF, .vhost_fd = -EBADF, .mac = { 2 }, .mtu = 1500 };
        check_invalid(&c, "no tap device");
        c.nics[0].tap_fd = 0;
        ASSERT_OK(vm_config_validate(&c, NULL));
        c.nics[0].mtu = 0;
        ASSERT_OK(vm_config_validate(&c, NULL));
        c.nics[0].mtu = 67;
        check_invalid(&c, "MTU must be between 68 and 65535, not 67");
        c.nics[0].mtu = 65536;
        check_invalid(&c, "MTU");
        c.nics[0] = (VmNic) { .vhost_fd = -EBADF, .mac = { 1 }, .mtu = 1500 };
        check_invalid(&c, "multicast");
        c = good;

        c.transport = VM_TRANSPORT_VSOCK;
        check_invalid(&c, "CID");
        c.cid = 70000;
        check_invalid(&c, "vhost-vsock");
        c = good;
}

TEST(enums)
{
        ASSERT_EQ(vm_accel_from_string("kvm"), VM_ACCEL_KVM);
        ASSERT_STREQ(vm_accel_to_string(VM_ACCEL_TCG), "tcg");
        ASSERT_TRUE(vm_accel_from_string("xen") < 0);
        ASSERT_TRUE(vm_transport_from_string(NULL) < 0);
        ASSERT_EQ(vm_transport_from_string("vsock"), VM_TRANSPORT_VSOCK);
        ASSERT_NULL(vm_transport_to_string(_VM_TRANSPORT_INVALID));
}

/* Golden: a change here changes what every guest boots with. */
TEST(cmdline_tcg_serial)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        _cleanup_free_ char *line = NULL;

        ASSERT_OK(kernel_cmdline_build(&c, &line, NULL));
        ASSERT_STREQ(line,
                        "root=/dev/dm-0 ro rootfstype=erofs init=/usr/bin/kata-agent "
                        "dm-mod.create=\"vroot,,,ro,0 3824 verity 1 /dev/vda /dev/vda 4096 4096 "
                        "478 479 sha256 " TEST_ROOT_HASH " " TEST_SALT " 1 panic_on_corruption\" "
                        "dm-mod.waitfor=/dev/vda panic=-1 reboot=t console=hvc0 loglevel=4 "
                        "scsi_mod.scan=manual "
                        "nolapic_timer no_timer_check tsc=reliable noreplace-smp "
                        "agent.server_addr=serial://agent.channel.0 "
                        "agent.log_vport=1025 agent.passfd_listener_port=1027 "
                        "agent.notify=mux:1029 "
                        "agent.log=debug nokaslr");
}

TEST(cmdline_kvm_vsock)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_KVM, VM_TRANSPORT_VSOCK);
        _cleanup_free_ char *line = NULL;

        c.vcpus = 4;
        c.memory = UINT64_C(4) << 30;
        c.console = false;
        c.kernel_parameters = mfree(c.kernel_parameters);
        c.agent_log_level = mfree(c.agent_log_level);
        ASSERT_OK(kernel_cmdline_build(&c, &line, NULL));
        ASSERT_STREQ(line,
                        "root=/dev/dm-0 ro rootfstype=erofs init=/usr/bin/kata-agent "
                        "dm-mod.create=\"vroot,,,ro,0 3824 verity 1 /dev/vda /dev/vda 4096 4096 "
                        "478 479 sha256 " TEST_ROOT_HASH " " TEST_SALT " 1 panic_on_corruption\" "
                        "dm-mod.waitfor=/dev/vda panic=-1 reboot=t scsi_mod.scan=manual "
                        "swiotlb=noforce "
                        "agent.server_addr=vsock://-1:1024 "
                        "agent.log_vport=1025 agent.passfd_listener_port=1027 "
                        "agent.notify=vsock:2:70000");
}

/* The agent in the initrd does what our kernel does; the console is there before any module. */
TEST(cmdline_initrd)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        _cleanup_free_ char *line = NULL;

        c.machine = VM_MACHINE_Q35;
        c.initrd_path = strdup("/var/lib/kata/initrd/6.12.img");
        c.initrd_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        c.memory = MIB(127);
        check_invalid(&c, "kernel of the distribution needs 128 MiB");
        c.memory = MIB(128);
        ASSERT_OK(vm_config_validate(&c, NULL));
        ASSERT_OK(kernel_cmdline_build(&c, &line, NULL));
        ASSERT_STREQ(line,
                        "root=/dev/dm-0 ro rootfstype=erofs rdinit=/init "
                        "dm-mod.create=\"vroot,,,ro,0 3824 verity 1 /dev/vda /dev/vda 4096 4096 "
                        "478 479 sha256 " TEST_ROOT_HASH " " TEST_SALT " 1 panic_on_corruption\" "
                        "panic=-1 reboot=t console=ttyS0 earlyprintk=ttyS0 quiet loglevel=4 "
                        "scsi_mod.scan=manual "
                        "nolapic_timer no_timer_check tsc=reliable noreplace-smp "
                        "agent.server_addr=serial://agent.channel.0 "
                        "agent.log_vport=1025 agent.passfd_listener_port=1027 "
                        "agent.notify=mux:1029 "
                        "agent.log=debug nokaslr");
}

static void set_debug_image(VmConfig *c)
{
        static const char hash[] = TEST_SALT, salt[] = TEST_ROOT_HASH;

        c->debug_image_path = strdup("/usr/share/kata/guest-debug.img");
        c->debug_image_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        c->debug_params = (GuestParams) { .image_size = 147456, .root_offset = 20480, .data_blocks = 24,
                                          .hash_offset = 102400 };
        memcpy(c->debug_params.root_hash_hex, hash, sizeof(hash));
        memcpy(c->debug_params.salt_hex, salt, sizeof(salt));
}

TEST(cmdline_debug)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        _cleanup_free_ char *line = NULL, *without = NULL;

        ASSERT_OK(kernel_cmdline_build(&c, &without, NULL));
        ASSERT_NULL(strstr(without, "debug_"));
        ASSERT_NULL(strstr(without, "vdb"));
        ASSERT_NULL(strstr(without, "dm-1"));

        set_debug_image(&c);
        ASSERT_OK(vm_config_validate(&c, NULL));
        ASSERT_OK(kernel_cmdline_build(&c, &line, NULL));
        ASSERT_STREQ(line,
                        "root=/dev/dm-0 ro rootfstype=erofs init=/usr/bin/kata-agent "
                        "dm-mod.create=\"vroot,,,ro,0 3824 verity 1 /dev/vda /dev/vda 4096 4096 "
                        "478 479 sha256 " TEST_ROOT_HASH " " TEST_SALT " 1 panic_on_corruption;"
                        "vdebug,,,ro,0 192 verity 1 /dev/vdb /dev/vdb 4096 4096 "
                        "24 25 sha256 " TEST_SALT " " TEST_ROOT_HASH " 1 panic_on_corruption\" "
                        "dm-mod.waitfor=/dev/vda,/dev/vdb panic=-1 reboot=t console=hvc0 loglevel=4 "
                        "scsi_mod.scan=manual "
                        "nolapic_timer no_timer_check tsc=reliable noreplace-smp "
                        "agent.server_addr=serial://agent.channel.0 "
                        "agent.log_vport=1025 agent.passfd_listener_port=1027 "
                        "agent.notify=mux:1029 "
                        "agent.debug_console agent.debug_console_vport=1026 "
                        "agent.debug_image=/dev/dm-1 "
                        "agent.log=debug nokaslr");
}

TEST(debug_image_is_checked)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);

        set_debug_image(&c);
        c.debug_params.data_blocks = 0;
        check_invalid(&c, "no verity parameters");
        c.debug_params.data_blocks = 24;
        c.debug_image_fd = safe_close(c.debug_image_fd);
        check_invalid(&c, "is not open");
        c.debug_image_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        c.debug_image_path[0] = 'x';
        check_invalid(&c, "not an absolute path");
        c.debug_image_path = mfree(c.debug_image_path);
        check_invalid(&c, "without a path");
}

TEST(cmdline_emulated_smp)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        _cleanup_free_ char *line = NULL;

        c.vcpus = 2;
        ASSERT_OK(kernel_cmdline_build(&c, &line, NULL));
        ASSERT_CONTAINS(line, " tsc=reliable lpj=40000000 agent.server_addr=");
}

TEST(cmdline_too_long)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        _cleanup_free_ char *line = NULL, *message = NULL;

        free(c.kernel_parameters);
        c.kernel_parameters = ASSERT_NOT_NULL(malloc(VM_KERNEL_PARAMETERS_MAX + 1));
        memset(c.kernel_parameters, 'x', VM_KERNEL_PARAMETERS_MAX);
        for (size_t i = 20; i < VM_KERNEL_PARAMETERS_MAX; i += 20)
                c.kernel_parameters[i] = ' ';
        c.kernel_parameters[VM_KERNEL_PARAMETERS_MAX] = '\0';
        ASSERT_OK(vm_config_validate(&c, NULL));
        ASSERT_ERROR(kernel_cmdline_build(&c, &line, &message), E2BIG);
        ASSERT_CONTAINS(message, "shorten");
        ASSERT_NULL(line);
}

TEST(operator_parameters)
{
        static const char *const good[] = {
                        NULL,
                        "",
                        "  ",
                        "init=/bin/sh",
                        "nokaslr initcall_debug",
                        "foo=\"a b\" x",
                        "rootless=1",
                        "agents=1",
                        "console=hvc1",
                        "systemd.unit=x",
        };
        static const char *const bad[] = {
                        "agent.log=debug",
                        "a agent.x",
                        "dm-mod.create=\"x\"",
                        "dm_mod.create=x",
                        "root=/dev/vda",
                        "ro",
                        "rw",
                        "rootfstype=ext4",
                        "virtio_mmio.device=1",
                        "virtio-mmio.device=1",
                        "--",
                        "x -- y",
                        "\"root=/dev/vda\"",
                        "\"agent.log=x\"",
                        "foo=\"a",
                        "a\nb",
                        "a\tb",
                        "\x7f",
                        "\xc3\xa4",
                        "=x",
                        "ro\"ot\"=x",
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                ASSERT_OK(kernel_parameters_validate(good[i], NULL));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *message = NULL;

                if (kernel_parameters_validate(bad[i], &message) >= 0)
                        TEST_FAIL("'%s' was accepted", bad[i]);
                ASSERT_CONTAINS(message, "kernel parameters: ");
        }
}

TEST(hash_blocks)
{
        ASSERT_EQ(verity_hash_blocks(2), 1);
        ASSERT_EQ(verity_hash_blocks(128), 1);
        ASSERT_EQ(verity_hash_blocks(129), 3);
        ASSERT_EQ(verity_hash_blocks(478), 5);
        ASSERT_EQ(verity_hash_blocks(128 * 128 + 1), 129 + 2 + 1);
}

static const char good_params[] =
                "# made by kata-image\n"
                "version=2\nimage_size=2023424\nroot_offset=20480\ndata_blocks=478\ndata_block_size=4096\nhash_block_"
                "size=4096\n"
                "hash_offset=1961984\nhash_algorithm=sha256\nroot_hash=" TEST_ROOT_HASH
                "\nsalt=" TEST_SALT "\n"
                "manifest_sha256=" TEST_SALT "\n"
                "kernel_verity_params=root_hash=" TEST_ROOT_HASH ",salt=" TEST_SALT
                ",data_blocks=478,data_block_size=4096,hash_block_size=4096\n";

TEST(params_good)
{
        _cleanup_(guest_params_done) GuestParams p = {};

        ASSERT_OK(guest_params_parse(good_params, strlen(good_params), &p, NULL));
        ASSERT_EQ(p.data_blocks, 478);
        ASSERT_EQ(p.image_size, 2023424);
        ASSERT_EQ(p.root_offset, 20480);
        ASSERT_EQ(guest_params_range_size(&p), 1982464);
        ASSERT_TRUE(p.has_manifest);
        ASSERT_EQ(p.manifest_sha256[31], 0xab);
        ASSERT_EQ(p.root_hash[0], 0x1f);
        ASSERT_STREQ(p.salt_hex, TEST_SALT);
        ASSERT_CONTAINS(p.kernel_verity_params, "data_blocks=478");
}

/* Replaces one piece of the good text. */
static void check_params(const char *from, const char *to, const char *part)
{
        _cleanup_(guest_params_done) GuestParams p = {};
        _cleanup_free_ char *text = NULL, *message = NULL;
        const char *at = ASSERT_NOT_NULL(strstr(good_params, from));

        ASSERT_TRUE(asprintf(&text, "%.*s%s%s", (int) (at - good_params), good_params, to,
                             at + strlen(from)) >= 0);
        ASSERT_TRUE(guest_params_parse(text, strlen(text), &p, &message) < 0);
        ASSERT_CONTAINS(message, part);
        ASSERT_EQ(p.data_blocks, 0);
}

TEST(params_bad)
{
        check_params("version=2\n", "version=1\n", "line 2: value of version= is not supported");
        check_params("version=2\n", "", "version= is missing");
        check_params("version=2\n", "version=2\nversion=2\n", "given twice");
        check_params("version=2\n", "version=2\ncolour=\x1b[1m\n", "unknown key 'colour'");
        check_params("version=2\n", "version\n", "no '='");
        check_params("sha256", "md5", "not supported");
        check_params("data_block_size=4096\nhash", "data_block_size=512\nhash", "not supported");
        check_params("image_size=2023424", "image_size=1998848", "does not fit");
        check_params("image_size=2023424", "image_size=2023425", "out of range");
        check_params("image_size=2023424", "image_size=2203318222848", "out of range");
        check_params("image_size=2023424", "image_size=-1", "not valid");
        check_params("root_offset=20480", "root_offset=512", "not a block of the image");
        check_params("root_offset=20480", "root_offset=18446744073709547520", "not a block");
        check_params("root_offset=20480", "root_offset=61440", "does not fit");
        check_params("root_offset=20480\n", "", "root_offset= is missing");
        check_params("hash_offset=1961984", "hash_offset=0", "not behind the data");
        check_params("hash_offset=1961984", "hash_offset=1957888", "not behind the data");
        check_params("hash_offset=1961984", "hash_offset=18446744073709547520", "not behind the data");
        check_params("hash_offset=1961984", "hash_offset=1962496", "not behind the data");
        check_params("manifest_sha256=ab", "manifest_sha256=xb", "not valid");
        check_params("data_blocks=478\n", "data_blocks=1\n", "out of range");
        check_params("data_blocks=478\n", "data_blocks=18446744073709551615\n", "out of range");
        check_params("root_hash=1f", "root_hash=1F", "not valid");
        check_params(",data_blocks=478,", ",data_blocks=479,", "does not agree");
        check_params(",hash_block_size=4096\n", "\n", "not complete");
}

TEST(verify_image)
{
        _cleanup_close_ int fd = ASSERT_OK(memfd_create("image", MFD_CLOEXEC));
        _cleanup_free_ char *message = NULL;
        uint8_t block[4096], digest[EVP_MAX_MD_SIZE];
        GuestParams p = { .data_blocks = 2, .root_offset = 4096, .hash_offset = 12288, .image_size = 20480 };
        EVP_MD_CTX *ctx = ASSERT_NOT_NULL(EVP_MD_CTX_new());

        memset(block, 0x5a, sizeof(block));
        memset(p.salt, 7, sizeof(p.salt));
        ASSERT_EQ(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL), 1);
        ASSERT_EQ(EVP_DigestUpdate(ctx, p.salt, sizeof(p.salt)), 1);
        ASSERT_EQ(EVP_DigestUpdate(ctx, block, sizeof(block)), 1);
        ASSERT_EQ(EVP_DigestFinal_ex(ctx, digest, NULL), 1);
        EVP_MD_CTX_free(ctx);
        memcpy(p.root_hash, digest, sizeof(p.root_hash));
        strcpy(p.root_hash_hex, "abcd");

        ASSERT_ERROR(guest_params_verify_image(&p, fd, "/i", "p", &message), EBADMSG);
        ASSERT_STREQ(message, "guest image /i has 0 bytes, p says 20480: rebuild or reinstall it");

        ASSERT_OK(ftruncate(fd, 20480));
        ASSERT_EQ(pwrite(fd, block, sizeof(block), 16384), sizeof(block));
        ASSERT_OK(guest_params_verify_image(&p, fd, "/i", "p", NULL));

        block[100] ^= 1;
        ASSERT_EQ(pwrite(fd, block, sizeof(block), 16384), sizeof(block));
        ASSERT_ERROR(guest_params_verify_image(&p, fd, "/i", "p", &message), EBADMSG);
        ASSERT_STREQ(message, "guest image /i does not match root hash abcd of p: rebuild or "
                              "reinstall it");
}

TEST(memory_max)
{
        VmConfig c = VM_CONFIG_INIT;

        c.accel = VM_ACCEL_KVM;
        c.memory = MIB(256);
        c.vcpus = 1;
        ASSERT_EQ(vm_config_memory_max(&c), MIB(256 + 4 + 256 + 16 + 256));
        c.memory = MIB(8192);
        c.vcpus = 4;
        ASSERT_EQ(vm_config_memory_max(&c), MIB(8192 + 128 + 256 + 64 + 1024));
        c.accel = VM_ACCEL_TCG;
        ASSERT_EQ(vm_config_memory_max(&c), MIB(8192 + 128 + 256 + 64 + 1024 + 1024 + 256 + 1024));
}

TEST(open)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        _cleanup_free_ char *message = NULL;

        free(c.kernel_path);
        c.kernel_path = ASSERT_NOT_NULL(strdup("/nonexistent/vmlinux"));
        ASSERT_ERROR(vm_config_open(&c, "p", &message), ENOENT);
        ASSERT_CONTAINS(message,
                        "guest kernel /nonexistent/vmlinux can not be opened: No such file");

        free(c.kernel_path);
        c.kernel_path = ASSERT_NOT_NULL(strdup("/dev/null"));
        ASSERT_ERROR(vm_config_open(&c, "p", &message), EINVAL);
        ASSERT_CONTAINS(message, "not a regular file");
}

DEFINE_TEST_MAIN
