/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real machines: boots the guest kernel with a verified image of one program in QEMU and looks at
 * everything the VMM layer promises. Needs root, QEMU, mkfs.erofs, veritysetup and a guest kernel
 * (KATA_TEST_KERNEL or the installed one); KATA_TEST_ACCEL=kvm uses KVM; KATA_TEST_PARAMETERS are
 * added to the kernel command line. Exits 77 if something is missing.
 */

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/strv.h"
#include "basic/test.h"
#include "runtime/store/virtiofsd.h"
#include "runtime/vmm/host-caps.h"
#include "runtime/vmm/qmp.h"
#include "basic/unix-socket.h"
#include "runtime/vmm/vmm-internal.h"
#include "runtime/vmm/vmm.h"
#include "runtime/vmm/vsock-cid.h"

#define STEP_TIMEOUT (60 * USEC_PER_SEC)

static char work[] = "/tmp/kata-test-boot-XXXXXX";
static HostCaps caps;
static VmAccel accel = VM_ACCEL_TCG;
static const char *kernel, *guest_init;

typedef struct World {
        sd_event *event;
        Vmm *vmm;
        Virtiofsd *daemon;
        unsigned ready, running, shutdown, exited, daemon_exited;
        VmmExit end;
        char reason[512], shutdown_reason[64], daemon_reason[512];
        Strv lines;
        usec_t exit_time;
} World;

/* ---- handlers ---- */

static void on_ready(Vmm *vmm, void *userdata)
{
        ((World *) userdata)->ready++;
}

static void on_running(Vmm *vmm, void *userdata)
{
        ((World *) userdata)->running++;
}

static void on_shutdown(Vmm *vmm, bool by_guest, const char *reason, void *userdata)
{
        World *w = userdata;

        w->shutdown++;
        snprintf(w->shutdown_reason, sizeof(w->shutdown_reason), "%s", reason);
}

static void on_console_line(Vmm *vmm, const char *line, size_t n, void *userdata)
{
        fprintf(stderr, "    console: %s\n", line);
        ASSERT_OK(strv_add(&((World *) userdata)->lines, line));
}

static void on_stderr_line(Vmm *vmm, const char *source, const char *line, size_t n, void *userdata)
{
        fprintf(stderr, "    %s: %s\n", source, line);
}

static void on_exit_handler(Vmm *vmm, const VmmExit *end, void *userdata)
{
        World *w = userdata;

        w->exited++;
        w->end = *end;
        w->exit_time = now_usec();
        snprintf(w->reason, sizeof(w->reason), "%s", end->reason);
        fprintf(stderr, "    exit: %s\n", end->reason);
}

static const VmmHandlers handlers = {
        on_ready, on_running, on_shutdown, on_console_line, on_stderr_line, on_exit_handler,
};

static void on_daemon_line(Virtiofsd *v, const char *line, size_t n, void *userdata)
{
        fprintf(stderr, "    virtiofsd: %s\n", line);
}

static void on_daemon_exit(Virtiofsd *v, const char *reason, void *userdata)
{
        World *w = userdata;

        w->daemon_exited++;
        snprintf(w->daemon_reason, sizeof(w->daemon_reason), "%s", reason);
}

static const VirtiofsdHandlers daemon_handlers = { on_daemon_line, on_daemon_exit };

/* ---- the world ---- */

static void world_done(World *w)
{
        vmm_free(w->vmm);
        virtiofsd_free(w->daemon);
        strv_done(&w->lines);
        sd_event_unref(w->event);
}

static bool saw(const World *w, const char *part)
{
        char *line;

        STRV_FOREACH(line, &w->lines)
                if (strstr(line, part))
                        return true;

        return false;
}

#define WAIT_FOR(w, condition)                                                                     \
        ({                                                                                         \
                usec_t _until_ = now_usec() + STEP_TIMEOUT;                                        \
                while (!(condition)) {                                                             \
                        ASSERT_OK(sd_event_run((w)->event, 100000));                               \
                        if (now_usec() > _until_)                                                  \
                                TEST_FAIL("timeout: %s", #condition);                              \
                }                                                                                  \
        })

static int run(const char *const *argv)
{
        pid_t pid = ASSERT_OK(fork());
        int status;

        if (pid == 0) {
                execvp(argv[0], (char *const *) argv);
                _exit(127);
        }
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static char *path_in_work(const char *name)
{
        char *path;

        ASSERT_TRUE(asprintf(&path, "%s/%s", work, name) >= 0);
        return path;
}

/* An erofs image with its hash tree and guest.params, made with the distribution's tools. */
static void build_image(void)
{
        _cleanup_free_ char *tree = path_in_work("tree"), *image = path_in_work("guest.img"),
                            *params = path_in_work("guest.params"),
                            *hash_file = path_in_work("root-hash"),
                            *init = path_in_work("tree/usr/bin/kata-agent"), *hash = NULL,
                            *offset = NULL, *root_hash_file = NULL, *text = NULL,
                            *blocks_option = NULL;
        static const char salt[] =
                        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        static const char *const dirs[] = { "usr/bin", "dev", "proc", "mnt", "sys" };
        struct stat st;

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *d = NULL;

                ASSERT_TRUE(asprintf(&d, "%s/%s", tree, dirs[i]) >= 0);
                ASSERT_OK(mkdir_p(d, 0755));
        }
        ASSERT_EQ(run((const char *const[]) { "install", "-m755", guest_init, init, NULL }), 0);
        ASSERT_EQ(run((const char *const[]) { "mkfs.erofs", "--quiet", image, tree, NULL }), 0);
        ASSERT_OK(stat(image, &st));
        uint64_t blocks = ((uint64_t) st.st_size + 4095) / 4096;
        ASSERT_OK(truncate(image, (off_t) blocks * 4096));

        ASSERT_TRUE(asprintf(&offset, "--hash-offset=%" PRIu64, (blocks + 1) * 4096) >= 0);
        ASSERT_TRUE(asprintf(&blocks_option, "--data-blocks=%" PRIu64, blocks) >= 0);
        ASSERT_TRUE(asprintf(&root_hash_file, "--root-hash-file=%s", hash_file) >= 0);
        _cleanup_free_ char *salt_option = NULL;
        ASSERT_TRUE(asprintf(&salt_option, "--salt=%s", salt) >= 0);
        ASSERT_EQ(run((const char *const[]){"veritysetup", "format", "--no-superblock", salt_option,
                                  offset, blocks_option, root_hash_file, image, image, NULL}),
                        0);

        ASSERT_OK(read_file_at(AT_FDCWD, hash_file, 1024, &hash, NULL));
        hash[strcspn(hash, "\n")] = '\0';
        ASSERT_OK(stat(image, &st));
        ASSERT_TRUE(asprintf(&text,
                                    "version=2\nroot_offset=0\nimage_size=%" PRIi64 "\ndata_blocks=%" PRIu64
                                    "\ndata_block_size=4096\n"
                                    "hash_block_size=4096\nhash_offset=%" PRIu64
                                    "\nhash_algorithm=sha256\n"
                                    "root_hash=%s\nsalt=%s\n",
                                    (int64_t) st.st_size, blocks, (blocks + 1) * 4096, hash, salt) >= 0);
        ASSERT_OK(write_file_atomic(params, text, strlen(text), 0644));
}

static VmConfig make_config(const char *mode)
{
        _cleanup_free_ char *params = path_in_work("guest.params"), *message = NULL;
        const struct passwd *user = getpwnam("kata") ?: getpwnam("nobody");
        VmConfig c = VM_CONFIG_INIT;

        ASSERT_NOT_NULL(user);
        c.id = strdup("boot-test");
        c.vmm_path = strdup(caps.qemu_path);
        c.run_dir = path_in_work("run");
        c.kernel_path = strdup(kernel);
        c.image_path = path_in_work("guest.img");
        ASSERT_OK(mkdir_p(c.run_dir, 0700));
        if (guest_params_load(params, &c.params, &message) < 0 ||
            vm_config_open(&c, params, &message) < 0)
                TEST_FAIL("%s", message);
        c.memory = MIB(128);
        c.vcpus = 1;
        c.accel = accel;
        c.transport = VM_TRANSPORT_SERIAL;
        c.console = true;
        c.uid = user->pw_uid;
        c.gid = user->pw_gid;
        if (caps.kvm_gid != 0)
                c.groups[c.n_groups++] = caps.kvm_gid;
        ASSERT_TRUE(asprintf(&c.kernel_parameters, "test.mode=%s %s", mode,
                             getenv("KATA_TEST_PARAMETERS") ?: "") >= 0);
        return c;
}

static void spawn_world(World *w, VmConfig *c)
{
        _cleanup_free_ char *message = NULL;

        if (!w->event)
                ASSERT_OK(sd_event_new(&w->event));
        ASSERT_OK(vmm_new(w->event, &vmm_ops_qemu, &handlers, w, &w->vmm));
        if (vmm_spawn(w->vmm, c, &message) < 0)
                TEST_FAIL("%s", message);
        ASSERT_EQ(vmm_phase(w->vmm), VMM_SPAWNED);
}

static void boot_world(World *w, VmConfig *c)
{
        spawn_world(w, c);
        ASSERT_OK(vmm_launch(w->vmm, NULL));
        WAIT_FOR(w, w->ready || w->exited);
        ASSERT_EQ(w->exited, 0);
        ASSERT_EQ(w->lines.n, 0);               /* not one instruction yet */
        ASSERT_OK(vmm_start(w->vmm));
        WAIT_FOR(w, w->running || w->exited);
}

/* ---- tests ---- */

TEST(reset_is_an_orderly_end)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("reset");
        _cleanup_(world_done) World w = {};

        boot_world(&w, &c);
        ASSERT_EQ(c.kernel_fd, -EBADF);
        WAIT_FOR(&w, w.exited);
        ASSERT_TRUE(saw(&w, "guest: hello"));
        ASSERT_EQ(w.ready, 1);
        ASSERT_EQ(w.running, 1);
        ASSERT_EQ(w.shutdown, 1);
        ASSERT_STREQ(w.shutdown_reason, "guest-reset");
        ASSERT_TRUE(w.end.orderly);
        ASSERT_FALSE(w.end.guest_panic);
        ASSERT_EQ(w.end.code, CLD_EXITED);
        ASSERT_EQ(w.end.status, 0);
        ASSERT_STREQ(w.reason, "guest ended its machine (guest-reset)");
        ASSERT_EQ(vmm_phase(w.vmm), VMM_EXITED);
}

/* The command line fits machine and kernel: nothing to complain about, nothing unknown. */
TEST(boot_log)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("dmesg");
        _cleanup_(world_done) World w = {};

        boot_world(&w, &c);
        WAIT_FOR(&w, w.exited);
        ASSERT_TRUE(saw(&w, "guest: end of log"));
        ASSERT_TRUE(saw(&w, "Linux version"));
        /*
         * KVM on an emulated CPU hands XSAVE sizes on that do not fit each other (x86/fpu
         * complains).
         */
        if (accel == VM_ACCEL_TCG)
                ASSERT_FALSE(saw(&w, "WARNING:"));
}

TEST(confinement)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("tick");
        _cleanup_(world_done) World w = {};
        _cleanup_free_ char *status = NULL;
        char path[64], uid[32];

        boot_world(&w, &c);
        snprintf(path, sizeof(path), "/proc/%d/status", (int) vmm_pid(w.vmm)->pid);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 65536, &status, NULL));
        snprintf(uid, sizeof(uid), "\nUid:\t%u\t%u\t", c.uid, c.uid);
        ASSERT_CONTAINS(status, uid);
        ASSERT_CONTAINS(status, "\nCapPrm:\t0000000000000000\n");
        ASSERT_CONTAINS(status, "\nCapBnd:\t0000000000000000\n");
        ASSERT_CONTAINS(status, "\nNoNewPrivs:\t1\n");
        ASSERT_CONTAINS(status, "\nSeccomp:\t2\n");
        ASSERT_OK(vmm_stop(w.vmm, 5 * USEC_PER_SEC));
        WAIT_FOR(&w, w.exited);
        ASSERT_TRUE(w.end.orderly);
        ASSERT_EQ(w.end.code, CLD_EXITED);
        ASSERT_STREQ(w.shutdown_reason, "host-qmp-quit");
        ASSERT_CONTAINS(w.reason, "machine was stopped");
}

TEST(panic)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("panic");
        _cleanup_(world_done) World w = {};
        _cleanup_free_ char *tail = NULL;

        boot_world(&w, &c);
        WAIT_FOR(&w, w.exited);
        ASSERT_TRUE(w.end.guest_panic);
        ASSERT_FALSE(w.end.orderly);
        ASSERT_CONTAINS(w.reason, "guest kernel panicked: Kernel panic - not syncing: Attempted to "
                                  "kill init!");
        tail = ASSERT_NOT_NULL(vmm_console_tail(w.vmm));
        ASSERT_CONTAINS(tail, "Kernel Offset: ");      /* its last line */
}

TEST(agent_gives_up)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("fatal");
        _cleanup_(world_done) World w = {};

        boot_world(&w, &c);
        WAIT_FOR(&w, w.exited);
        ASSERT_TRUE(w.end.guest_panic);
        ASSERT_FALSE(w.end.orderly);
        ASSERT_STREQ(w.reason, "guest agent gave up: kata-agent: fatal: no reason");
}

TEST(killed)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("tick");
        _cleanup_(world_done) World w = {};
        usec_t killed;

        boot_world(&w, &c);
        WAIT_FOR(&w, saw(&w, "guest: tick 3"));
        killed = now_usec();
        ASSERT_OK(pidref_kill(vmm_pid(w.vmm), SIGKILL));
        WAIT_FOR(&w, w.exited);
        fprintf(stderr, "    seen %" PRIu64 " us after the kill\n", w.exit_time - killed);
        ASSERT_TRUE(w.exit_time - killed < USEC_PER_SEC);
        ASSERT_FALSE(w.end.orderly);
        ASSERT_EQ(w.end.code, CLD_KILLED);
        ASSERT_EQ(w.end.status, SIGKILL);
        ASSERT_STREQ(w.reason, "qemu was killed by signal KILL");
        ASSERT_EQ(w.exited, 1);
}

TEST(stopped_process_is_killed_at_the_deadline)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("tick");
        _cleanup_(world_done) World w = {};

        boot_world(&w, &c);
        ASSERT_OK(pidref_kill(vmm_pid(w.vmm), SIGSTOP));
        ASSERT_OK(vmm_stop(w.vmm, 200 * USEC_PER_MSEC));
        WAIT_FOR(&w, w.exited);
        ASSERT_EQ(w.end.status, SIGKILL);
        ASSERT_CONTAINS(w.reason, "machine was stopped (qemu was killed by signal KILL)");
}

/*
 * A machine that is paused although nobody asked (KVM internal error, here by hand) does not hang
 * for ever.
 */
TEST(paused_by_itself)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("tick");
        _cleanup_(world_done) World w = {};

        boot_world(&w, &c);
        ASSERT_OK(qmp_command(w.vmm->backend, "stop", NULL, USEC_PER_SEC, NULL, NULL));
        WAIT_FOR(&w, w.exited);
        ASSERT_STREQ(w.reason, "machine is in the unexpected state 'paused'");
        ASSERT_FALSE(w.end.orderly);
}

TEST(larger_machine)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("reset");
        _cleanup_(world_done) World w = {};

        c.vcpus = 2;
        c.memory = MIB(3200);
        boot_world(&w, &c);
        WAIT_FOR(&w, w.exited);
        ASSERT_TRUE(saw(&w, "guest: hello"));
        ASSERT_TRUE(w.end.orderly);
}

TEST(stop_before_launch)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("tick");
        _cleanup_(world_done) World w = {};

        spawn_world(&w, &c);
        ASSERT_OK(vmm_stop(w.vmm, USEC_PER_SEC));
        WAIT_FOR(&w, w.exited);
        ASSERT_EQ(w.ready, 0);
        ASSERT_TRUE(w.end.orderly);
}

/* QEMU's own complaint is the reason. */
TEST(bad_kernel)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("tick");
        _cleanup_(world_done) World w = {};

        safe_close(c.kernel_fd);
        c.kernel_fd = ASSERT_OK(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
        spawn_world(&w, &c);
        ASSERT_OK(vmm_launch(w.vmm, NULL));
        WAIT_FOR(&w, w.exited);
        ASSERT_EQ(w.ready, 0);
        ASSERT_FALSE(w.end.orderly);
        ASSERT_CONTAINS(w.reason, "qemu exited with status 1: ");
}

TEST(missing_program)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("tick");
        _cleanup_(vmm_freep) Vmm *vmm = NULL;
        _cleanup_free_ char *message = NULL;
        _cleanup_(world_done) World w = {};

        free(c.vmm_path);
        c.vmm_path = strdup("/nonexistent/qemu");
        ASSERT_OK(sd_event_new(&w.event));
        ASSERT_OK(vmm_new(w.event, &vmm_ops_qemu, &handlers, &w, &vmm));
        ASSERT_ERROR(vmm_spawn(vmm, &c, &message), ENOENT);
        ASSERT_STREQ(message, "/nonexistent/qemu can not be executed: not installed "
                              "(apt-get install qemu-system-x86)");
}

/* One flipped byte in a data block: the guest refuses it, with the reason on the console. */
TEST(tampered_image)
{
        _cleanup_free_ char *image = path_in_work("guest.img"), *data = NULL;
        static const char needle[] = "channel open";
        _cleanup_close_ int fd = -EBADF;
        size_t size;
        char *at;

        ASSERT_OK(read_file_at(AT_FDCWD, image, MIB(64), &data, &size));
        at = ASSERT_NOT_NULL(memmem(data, size, needle, sizeof(needle)));
        fd = ASSERT_OK(open(image, O_RDWR | O_CLOEXEC));
        ASSERT_EQ(pwrite(fd, "X", 1, at - data), 1);

        {
                _cleanup_(vm_config_done) VmConfig c = make_config("reset");
                _cleanup_(world_done) World w = {};

                boot_world(&w, &c);
                WAIT_FOR(&w, w.exited);
                ASSERT_TRUE(w.end.guest_panic);
                ASSERT_TRUE(saw(&w, "is corrupted"));
                ASSERT_FALSE(saw(&w, "guest: hello"));
                ASSERT_CONTAINS(w.reason, "dm-verity device corrupted");
        }

        ASSERT_EQ(pwrite(fd, at, 1, at - data), 1);
}

static int connect_agent(const World *w)
{
        _cleanup_(vmm_state_done) VmmState state = {};
        _cleanup_close_ int dir_fd = -EBADF;
        int fd;

        ASSERT_OK(vmm_get_state(w->vmm, &state));
        dir_fd = ASSERT_OK(open(state.run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
        ASSERT_OK(unix_connect_at(dir_fd, VMM_AGENT_SOCKET, &fd));
        return fd;
}

static void check_echo(World *w, int fd, const char *word)
{
        usec_t until = now_usec() + STEP_TIMEOUT;
        char data[512] = "";
        size_t n = 0;

        ASSERT_EQ(send(fd, word, strlen(word), MSG_NOSIGNAL), strlen(word));
        while (!strstr(data, word)) {
                ssize_t k = recv(fd, data + n, sizeof(data) - 1 - n, MSG_DONTWAIT);

                if (k > 0)
                        n += (size_t) k;
                data[n] = '\0';
                ASSERT_OK(sd_event_run(w->event, 20000));
                ASSERT_TRUE(now_usec() < until);
        }
        ASSERT_CONTAINS(data, "echo ");
}

TEST(agent_channel)
{
        _cleanup_(vm_config_done) VmConfig c = make_config("echo");
        _cleanup_close_ int first = -EBADF, second = -EBADF;
        _cleanup_(world_done) World w = {};

        boot_world(&w, &c);
        first = connect_agent(&w);
        WAIT_FOR(&w, saw(&w, "guest: channel open"));
        check_echo(&w, first, "one");
        /* A second connection after the first has gone, as after a restart of the supervisor. */
        first = safe_close(first);
        second = connect_agent(&w);
        check_echo(&w, second, "two");
        ASSERT_OK(vmm_stop(w.vmm, 5 * USEC_PER_SEC));
        WAIT_FOR(&w, w.exited);
}

/* A supervisor starts a machine, writes its state and is killed; this process takes over. */
TEST(adoption)
{
        _cleanup_free_ char *state_path = path_in_work("run/vmm.state"), *message = NULL;
        _cleanup_(vmm_state_done) VmmState state = {}, stranger = {};
        _cleanup_close_ int agent = -EBADF;
        _cleanup_(world_done) World w = {};
        Vmm *vmm = NULL;
        int status;
        pid_t pid;

        pid = ASSERT_OK(fork());
        if (pid == 0) {
                VmConfig c = make_config("echo");
                World first = {};

                boot_world(&first, &c);
                WAIT_FOR(&first, saw(&first, "guest: channel open"));
                ASSERT_OK(vmm_get_state(first.vmm, &state));
                ASSERT_OK(vmm_state_save(&state, state_path));
                (void) raise(SIGKILL);
        }
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        ASSERT_OK(sd_event_new(&w.event));
        ASSERT_OK(vmm_state_load(state_path, &state, NULL));

        ASSERT_OK(vmm_state_copy(&state, &stranger));
        stranger.start_time++;
        ASSERT_ERROR(vmm_adopt(w.event, &stranger, -EBADF, &handlers, &w, &vmm, &message), ESRCH);
        ASSERT_CONTAINS(message, "is gone");

        if (vmm_adopt(w.event, &state, -EBADF, &handlers, &w, &w.vmm, &message) < 0)
                TEST_FAIL("%s", message);
        ASSERT_EQ(vmm_pid(w.vmm)->pid, state.pid);
        WAIT_FOR(&w, w.running || w.exited);
        ASSERT_EQ(vmm_phase(w.vmm), VMM_RUNNING);
        ASSERT_EQ(w.ready, 0);

        agent = connect_agent(&w);
        check_echo(&w, agent, "after");
        WAIT_FOR(&w, saw(&w, "guest: after"));  /* the console is connected again, too */
        ASSERT_OK(vmm_stop(w.vmm, 5 * USEC_PER_SEC));
        WAIT_FOR(&w, w.exited);
        ASSERT_EQ(w.end.code, 0);
        ASSERT_TRUE(w.end.orderly);
        ASSERT_STREQ(w.shutdown_reason, "host-qmp-quit");
        ASSERT_CONTAINS(w.reason, "its status is not known");
}

/* Killed between fork and launch, and between launch and start. */
TEST(adoption_before_start)
{
        _cleanup_free_ char *state_path = path_in_work("run/vmm.state");
        _cleanup_(vmm_state_done) VmmState state = {};
        _cleanup_(world_done) World w = {};
        int status;
        pid_t pid;

        pid = ASSERT_OK(fork());
        if (pid == 0) {
                VmConfig c = make_config("reset");
                World first = {};

                spawn_world(&first, &c);
                ASSERT_OK(vmm_get_state(first.vmm, &state));
                ASSERT_OK(vmm_state_save(&state, state_path));
                ASSERT_OK(vmm_launch(first.vmm, NULL));
                WAIT_FOR(&first, first.ready);
                (void) raise(SIGKILL);
        }
        ASSERT_EQ(waitpid(pid, &status, 0), pid);

        ASSERT_OK(sd_event_new(&w.event));
        ASSERT_OK(vmm_state_load(state_path, &state, NULL));
        ASSERT_OK(vmm_adopt(w.event, &state, -EBADF, &handlers, &w, &w.vmm, NULL));
        WAIT_FOR(&w, w.ready || w.exited);
        ASSERT_EQ(w.running, 0);
        ASSERT_OK(vmm_start(w.vmm));
        WAIT_FOR(&w, w.exited);
        ASSERT_EQ(w.running, 1);
        ASSERT_TRUE(saw(&w, "guest: hello"));
        ASSERT_STREQ(w.reason, "guest ended its machine (guest-reset)");
}

static void start_daemon(World *w, VmConfig *c, const char *source)
{
        const VirtiofsdConfig v = {
                        .program = caps.virtiofsd_path, .source = source, .run_dir = c->run_dir};
        _cleanup_free_ char *message = NULL;

        ASSERT_OK(sd_event_new(&w->event));
        if (virtiofsd_spawn(w->event, &v, &daemon_handlers, w, &w->daemon, &c->share_fd, &message) <
                        0)
                TEST_FAIL("%s", message);
        c->share_tag = strdup("kataShared");
        ASSERT_OK(virtiofsd_launch(w->daemon));
}

TEST(share)
{
        _cleanup_free_ char *source = path_in_work("shared"), *hello = path_in_work("shared/hello"),
                            *written = path_in_work("shared/from-guest"),
                            *link = path_in_work("shared/link"), *message = NULL, *text = NULL;
        _cleanup_(vm_config_done) VmConfig c = VM_CONFIG_INIT;
        _cleanup_(world_done) World w = {};
        struct stat st;

        if (!caps.virtiofsd_path) {
                fprintf(stderr, "    skipped: %s\n", caps.virtiofsd_reason);
                return;
        }

        c = make_config("share");
        ASSERT_OK(mkdir_p(source, 0755));
        ASSERT_OK(write_file_atomic(hello, "from host\n", 10, 0644));
        ASSERT_OK(symlink("/etc/passwd", link));
        start_daemon(&w, &c, source);
        spawn_world(&w, &c);
        ASSERT_OK(vmm_launch(w.vmm, NULL));
        WAIT_FOR(&w, w.ready || w.exited || w.daemon_exited);
        if (w.daemon_exited)
                TEST_FAIL("%s", w.daemon_reason);
        if (virtiofsd_verify(w.daemon, &message) < 0)
                TEST_FAIL("%s", message);
        ASSERT_OK(vmm_start(w.vmm));
        WAIT_FOR(&w, w.exited && w.daemon_exited);
        ASSERT_TRUE(saw(&w, "guest: from host"));
        ASSERT_TRUE(saw(&w, "guest: link: No such file or directory"));
        ASSERT_TRUE(saw(&w, "guest: share done"));
        ASSERT_FALSE(saw(&w, "umount"));
        ASSERT_OK(read_file_at(AT_FDCWD, written, 100, &text, NULL));
        ASSERT_STREQ(text, "written\n");
        ASSERT_OK(stat(written, &st));
        ASSERT_EQ(st.st_uid, 1234);
        ASSERT_CONTAINS(w.daemon_reason, "virtiofsd exited with status 0");
}

TEST(daemon_killed)
{
        _cleanup_free_ char *source = path_in_work("shared2");
        _cleanup_(vm_config_done) VmConfig c = VM_CONFIG_INIT;
        _cleanup_(world_done) World w = {};

        if (!caps.virtiofsd_path)
                return;

        c = make_config("tick");
        ASSERT_OK(mkdir_p(source, 0755));
        start_daemon(&w, &c, source);
        boot_world(&w, &c);
        ASSERT_OK(virtiofsd_kill(w.daemon, SIGKILL));
        WAIT_FOR(&w, w.daemon_exited);
        ASSERT_STREQ(w.daemon_reason, "virtiofsd was killed by signal KILL");
        /* What follows is the owner's decision. */
        ASSERT_OK(vmm_stop(w.vmm, 2 * USEC_PER_SEC));
        WAIT_FOR(&w, w.exited);
}

/*
 * Only where the host has it (a node with KVM): QEMU accepts the reserved CID; a second claim gets
 * another.
 */
TEST(vsock)
{
        _cleanup_(vm_config_done) VmConfig c = VM_CONFIG_INIT;
        _cleanup_close_ int other = -EBADF;
        _cleanup_(world_done) World w = {};
        uint32_t cid, second;

        if (!host_caps_vhost_vsock(&caps)) {
                fprintf(stderr, "    skipped: %s\n", caps.vhost_vsock_reason);
                return;
        }

        c = make_config("tick");
        ASSERT_OK(vsock_cid_claim(&vsock_ops_default, "/dev/vhost-vsock", c.id, 0, &c.vhost_fd,
                        &c.cid, NULL));
        cid = c.cid;
        c.transport = VM_TRANSPORT_VSOCK;
        boot_world(&w, &c);
        WAIT_FOR(&w, saw(&w, "guest: tick"));
        ASSERT_OK(vsock_cid_claim(&vsock_ops_default, "/dev/vhost-vsock", "boot-test", 0, &other,
                        &second, NULL));
        ASSERT_EQ(second, cid + 1);
        other = safe_close(other);
        ASSERT_OK(vmm_stop(w.vmm, 5 * USEC_PER_SEC));
        WAIT_FOR(&w, w.exited);
        /* Free again: nobody holds the descriptor any more. */
        ASSERT_OK(vsock_cid_claim(&vsock_ops_default, "/dev/vhost-vsock", "boot-test", 0, &other,
                        &second, NULL));
        ASSERT_EQ(second, cid);
}

TestCase *test_cases;

static bool have(const char *program)
{
        char command[128];

        snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
        return run((const char *const[]) { "sh", "-c", command, NULL }) == 0;
}

static int skip(const char *why)
{
        fprintf(stderr, "skipped: %s\n", why);
        return 77;
}

int main(int argc, char *argv[])
{
        const char *wanted = getenv("KATA_TEST_ACCEL");
        unsigned n = 0;

        kernel = getenv("KATA_TEST_KERNEL") ?: DATADIR "/vmlinux";
        if (argc < 2)
                return skip("usage: test-vmm-boot GUEST-INIT [TEST…]");
        guest_init = argv[1];

        if (geteuid() != 0)
                return skip("not root");
        if (access(kernel, R_OK) < 0)
                return skip("no guest kernel (KATA_TEST_KERNEL)");
        if (!have("mkfs.erofs") || !have("veritysetup"))
                return skip("mkfs.erofs or veritysetup is missing");
        ASSERT_OK(host_caps_probe(&host_paths_default, &caps));
        if (!caps.qemu_path)
                return skip(caps.qemu_reason);
        if (streq_ptr(wanted, "kvm")) {
                if (!host_caps_kvm(&caps))
                        return skip(caps.kvm_reason);
                accel = VM_ACCEL_KVM;
        }

        (void) signal(SIGPIPE, SIG_IGN);
        ASSERT_NOT_NULL(mkdtemp(work));
        build_image();

        for (TestCase *t = test_cases; t; t = t->next) {
                bool run_it = argc < 3;

                for (int i = 2; i < argc; i++)
                        run_it = run_it || streq(argv[i], t->name);
                if (!run_it)
                        continue;
                usec_t begin = now_usec();
                fprintf(stderr, "/* %s */\n", t->name);
                t->run();
                fprintf(stderr, "    %" PRIu64 " ms\n", (now_usec() - begin) / 1000);
                n++;
        }

        ASSERT_OK(rm_rf(work));
        host_caps_done(&caps);
        fprintf(stderr, "%u tests passed\n", n);
        return 0;
}
