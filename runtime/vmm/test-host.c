/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of the host, choice of CIDs, state file, line splitting. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/strv.h"
#include "basic/test.h"
#include "runtime/vmm/host-caps.h"
#include "runtime/vmm/line-stream.h"
#include "basic/unix-socket.h"
#include "runtime/vmm/vmm-state.h"
#include "runtime/vmm/vsock-cid.h"

/* ---- host-caps ---- */

static int api_version = 12;

static int fake_api_version(int fd)
{
        return api_version;
}

static int fake_vsock(void)
{
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int no_vsock(void)
{
        return -EAFNOSUPPORT;
}

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
        _cleanup_free_ char *path = NULL;

        ASSERT_TRUE(asprintf(&path, "%s/%s", dir, name) >= 0);
        ASSERT_OK(write_file_atomic(path, text, strlen(text), mode));
}

TEST(host_caps)
{
        char dir[] = "/tmp/kata-test-host-XXXXXX", kvm[64], cpuinfo[64], qemu[64], vhost[64];
        HostPaths paths = { .kvm_api_version = fake_api_version, .vsock_socket = fake_vsock };
        const char *const qemu_paths[] = { "/nonexistent/qemu", qemu, NULL };
        const char *const no_paths[] = { "/nonexistent/virtiofsd", NULL };
        HostCaps caps;

        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(kvm, sizeof(kvm), "%s/kvm", dir);
        snprintf(vhost, sizeof(vhost), "%s/vhost", dir);
        snprintf(cpuinfo, sizeof(cpuinfo), "%s/cpuinfo", dir);
        snprintf(qemu, sizeof(qemu), "%s/qemu", dir);
        paths.kvm = kvm;
        paths.vhost_vsock = vhost;
        paths.cpuinfo = cpuinfo;
        paths.qemu = qemu_paths;
        paths.virtiofsd = no_paths;

        /* Nothing there. */
        ASSERT_OK(host_caps_probe(&paths, &caps));
        ASSERT_FALSE(host_caps_kvm(&caps));
        ASSERT_CONTAINS(caps.kvm_reason, "/kvm can not be opened: No such file");
        ASSERT_CONTAINS(caps.vhost_vsock_reason, "/vhost can not be opened");
        ASSERT_CONTAINS(caps.qemu_reason, "apt-get install qemu-system-x86");
        ASSERT_CONTAINS(caps.virtiofsd_reason, "/nonexistent/virtiofsd is not installed");
        ASSERT_NULL(caps.qemu_path);
        host_caps_done(&caps);

        /* Everything there. */
        put(dir, "kvm", "", 0666);
        put(dir, "vhost", "", 0600);
        put(dir, "qemu", "", 0755);
        put(dir, "cpuinfo", "processor\t: 0\nflags\t\t: fpu vme svm sse\nbugs : x\n", 0644);
        ASSERT_OK(host_caps_probe(&paths, &caps));
        ASSERT_NULL(caps.kvm_reason);
        ASSERT_TRUE(host_caps_vhost_vsock(&caps));
        ASSERT_STREQ(caps.qemu_path, qemu);
        ASSERT_EQ(caps.kvm_gid, 0);
        host_caps_done(&caps);

        /* Only root, then a group. */
        put(dir, "kvm", "", 0600);
        ASSERT_OK(host_caps_probe(&paths, &caps));
        ASSERT_CONTAINS(caps.kvm_reason, "by root only");
        host_caps_done(&caps);
        if (geteuid() == 0) {
                ASSERT_OK(chmod(kvm, 0660));
                ASSERT_OK(chown(kvm, 0, 106));
                ASSERT_OK(host_caps_probe(&paths, &caps));
                ASSERT_NULL(caps.kvm_reason);
                ASSERT_EQ(caps.kvm_gid, 106);
                host_caps_done(&caps);
        }
        put(dir, "kvm", "", 0666);

        /* KVM in software, wrong version, no AF_VSOCK. */
        put(dir, "cpuinfo", "flags\t\t: fpu vmxx svm_lock sse\n", 0644);
        paths.vsock_socket = no_vsock;
        ASSERT_OK(host_caps_probe(&paths, &caps));
        ASSERT_CONTAINS(caps.kvm_reason, "neither vmx nor svm");
        ASSERT_CONTAINS(caps.vhost_vsock_reason, "AF_VSOCK");
        host_caps_done(&caps);

        api_version = 11;
        ASSERT_OK(host_caps_probe(&paths, &caps));
        ASSERT_CONTAINS(caps.kvm_reason, "API version 11");
        host_caps_done(&caps);
        ASSERT_OK(rm_rf(dir));
}

/* ---- vsock-cid ---- */

static uint64_t taken_from, taken_to;

static int fake_open(const char *path)
{
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int fake_set(int fd, uint64_t cid)
{
        return cid >= taken_from && cid < taken_to ? -EADDRINUSE : 0;
}

TEST(vsock_cid)
{
        const VsockOps ops = { .open = fake_open, .set_guest_cid = fake_set };
        uint32_t first = vsock_cid_first("web"), cid = 0;
        _cleanup_free_ char *message = NULL;
        int fd = -EBADF;

        ASSERT_EQ(first, vsock_cid_first("web"));
        ASSERT_TRUE(first != vsock_cid_first("wec"));
        ASSERT_TRUE(first >= 65536 && first <= 0x7fffffff);

        ASSERT_OK(vsock_cid_claim(&ops, "x", "web", 0, &fd, &cid, NULL));
        ASSERT_EQ(cid, first);
        fd = safe_close(fd);

        taken_from = first;
        taken_to = first + 5ULL;
        ASSERT_OK(vsock_cid_claim(&ops, "x", "web", 0, &fd, &cid, NULL));
        ASSERT_EQ(cid, first + 5);
        fd = safe_close(fd);

        ASSERT_OK(vsock_cid_claim(&ops, "x", "web", 4711, &fd, &cid, NULL));
        ASSERT_EQ(cid, 4711);
        fd = safe_close(fd);

        taken_to = UINT64_MAX;
        ASSERT_ERROR(vsock_cid_claim(&ops, "x", "web", 0, &fd, &cid, &message), EADDRINUSE);
        ASSERT_EQ(fd, -EBADF);
        ASSERT_CONTAINS(message, "in use");

        message = mfree(message);
        ASSERT_ERROR(vsock_cid_claim(&vsock_ops_default, "/nonexistent", "web", 0, &fd, &cid,
                                     &message),
                        ENOENT);
        ASSERT_CONTAINS(message, "/nonexistent can not be opened");
}

/* ---- vmm-state ---- */

TEST(vmm_state)
{
        const VmmState s = {
                        .backend = (char *) "qemu",
                        .id = (char *) "web",
                        .run_dir = (char *) "/run/kata/web",
                        .pid = 4711,
                        .start_time = 123456,
                        .transport = VM_TRANSPORT_VSOCK,
                        .cid = 70000,
                        .console = true,
                        .accel = VM_ACCEL_KVM,
        };
        _cleanup_(vmm_state_done) VmmState back = {}, copy = {}, none = {};
        _cleanup_free_ char *text = NULL, *message = NULL;

        ASSERT_OK(vmm_state_format(&s, &text));
        ASSERT_OK(vmm_state_parse(text, strlen(text), &back, NULL));
        ASSERT_OK(vmm_state_copy(&back, &copy));
        ASSERT_STREQ(copy.id, "web");
        ASSERT_STREQ(copy.run_dir, "/run/kata/web");
        ASSERT_EQ(copy.pid, 4711);
        ASSERT_EQ(copy.start_time, 123456);
        ASSERT_EQ(copy.transport, VM_TRANSPORT_VSOCK);
        ASSERT_EQ(copy.cid, 70000);
        ASSERT_TRUE(copy.console);

        static const char *const bad[][2] = {
                        {"version=1", "version=2"},
                        {"pid=4711", "pid=1"},
                        {"pid=4711", "pid=-5"},
                        {"id=web", "id=../b"},
                        {"run_dir=/", "run_dir=x/"},
                        {"transport=vsock", "transport=tcp"},
                        {"cid=70000", "cid=x"},
                        {"accel=kvm", "colour=red"},
                        {"cid=70000", "pid=5"},
                        {"console=yes", "console"},
                        {"backend=qemu\n", ""},
        };
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *wrong = NULL;
                const char *at = ASSERT_NOT_NULL(strstr(text, bad[i][0]));

                ASSERT_TRUE(asprintf(&wrong, "%.*s%s%s", (int) (at - text), text, bad[i][1],
                                     at + strlen(bad[i][0])) >= 0);
                if (vmm_state_parse(wrong, strlen(wrong), &none, &message) >= 0)
                        TEST_FAIL("accepted: %s", bad[i][1]);
                ASSERT_NOT_NULL(message);
        }
        ASSERT_NULL(none.id);
}

TEST(vmm_state_file)
{
        const VmmState s = {
                        .backend = (char *) "qemu",
                        .id = (char *) "web",
                        .run_dir = (char *) "/run/kata/web",
                        .pid = 4711,
                        .start_time = 1,
                        .transport = VM_TRANSPORT_SERIAL,
                        .accel = VM_ACCEL_TCG,
        };
        _cleanup_(vmm_state_done) VmmState back = {};
        char dir[] = "/tmp/kata-test-state-XXXXXX", path[64];
        struct stat st;

        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/vmm.state", dir);
        ASSERT_ERROR(vmm_state_load(path, &back, NULL), ENOENT);
        ASSERT_OK(vmm_state_save(&s, path));
        ASSERT_OK(stat(path, &st));
        ASSERT_EQ(st.st_mode & 0777, 0600);
        ASSERT_OK(vmm_state_load(path, &back, NULL));
        ASSERT_EQ(back.transport, VM_TRANSPORT_SERIAL);
        ASSERT_OK(rm_rf(dir));
}

/* ---- line-stream ---- */

static int collect(void *userdata, const char *line, size_t n)
{
        ASSERT_EQ(line[n], 0);
        return strv_add(userdata, line);
}

TEST(line_buffer)
{
        _cleanup_(strv_done) Strv lines = {};
        _cleanup_free_ char *joined = NULL;
        LineBuffer b;

        ASSERT_OK(line_buffer_init(&b, 5));
        ASSERT_OK(line_buffer_feed(&b, "ab", 2, collect, &lines));
        ASSERT_EQ(lines.n, 0);
        ASSERT_OK(line_buffer_feed(&b, "c\r\n\n12345\n1234567", 17, collect, &lines));
        ASSERT_OK(line_buffer_flush(&b, collect, &lines));
        ASSERT_OK(line_buffer_flush(&b, collect, &lines));
        joined = ASSERT_NOT_NULL(strv_join(&lines, "|"));
        ASSERT_STREQ(joined, "abc||12345|12345|67");
        line_buffer_done(&b);
}

TEST(line_stream)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(line_stream_freep) LineStream *s = NULL;
        _cleanup_(strv_done) Strv lines = {};
        int pair[2];

        ASSERT_OK(sd_event_new(&event));
        ASSERT_OK(pipe2(pair, O_CLOEXEC));
        ASSERT_OK(line_stream_new(event, pair[0], 100, collect, NULL, &lines, &s));
        ASSERT_OK(write_full(pair[1], "one\ntwo", 7));
        ASSERT_TRUE(sd_event_run(event, 1000000) > 0);
        ASSERT_EQ(lines.n, 1);
        line_stream_drain(s);
        ASSERT_EQ(lines.n, 2);
        ASSERT_STREQ(lines.v[1], "two");
        close(pair[1]);
        ASSERT_TRUE(sd_event_run(event, 1000000) > 0);
        ASSERT_EQ(line_stream_fd(s), -EBADF);
        line_stream_drain(s);
        ASSERT_EQ(lines.n, 2);
}

/* ---- unix-socket ---- */

TEST(unix_socket)
{
        char dir[] = "/tmp/kata-test-sock-XXXXXX", name[128];
        _cleanup_close_ int dir_fd = -EBADF, listening = -EBADF, again = -EBADF, fd = -EBADF;
        struct stat st;

        ASSERT_NOT_NULL(mkdtemp(dir));
        dir_fd = ASSERT_OK(open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
        ASSERT_OK(unix_listen_at(dir_fd, "s", &listening));
        ASSERT_OK(fstatat(dir_fd, "s", &st, 0));
        ASSERT_EQ(st.st_mode & 0777, 0600);
        ASSERT_OK(unix_connect_at(dir_fd, "s", &fd));
        fd = safe_close(fd);
        /* A stale name is replaced. */
        ASSERT_OK(unix_listen_at(dir_fd, "s", &again));
        ASSERT_OK(unix_connect_at(dir_fd, "s", &fd));
        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        ASSERT_ERROR(unix_listen_at(dir_fd, name, &again), ENAMETOOLONG);
        ASSERT_OK(rm_rf(dir));
}

DEFINE_TEST_MAIN
