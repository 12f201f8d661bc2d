/* SPDX-License-Identifier: Apache-2.0 */
/* Agents as processes: see launch.h. Runs as root on a test machine. */

#include "tests/bundle-runner/launch.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/pidref.h"
#include "tests/bundle-runner/session.h"

#define RUN_DIR "/run/bundle-runner"
#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_PARENT CGROUP_MOUNT "/bundle-runner"
#define LISTEN_DEADLINE (20 * USEC_PER_SEC)
#define END_DEADLINE (15 * USEC_PER_SEC)
#define POLL_USEC 5000U

char *agent_socket_path(const Record *record)
{
        char *path;

        return asprintf(&path, "%s/agent.sock", record->run_dir) < 0 ? NULL : path;
}

static int open_agent(const Record *record, PidRef *ret)
{
        _cleanup_(pidref_done) PidRef ref = PIDREF_NULL;
        uint64_t start;
        int r;

        r = pidref_set(&ref, record->agent_pid);
        if (r >= 0)
                r = pid_start_time(record->agent_pid, &start);
        if (r < 0)
                return r;
        if (start != record->agent_start)
                return -ESRCH;

        *ret = ref;
        ref = PIDREF_NULL;
        return 0;
}

bool agent_is_alive(const Record *record)
{
        _cleanup_(pidref_done) PidRef ref = PIDREF_NULL;

        /* A pidfd is readable once its process has exited, whoever has to reap it. */
        return open_agent(record, &ref) >= 0 && fd_wait(ref.fd, POLLIN, 0) == 0;
}

/* What a container may be limited by; what this machine does not have is refused by the agent, by name. */
static void hand_down(const char *dir)
{
        static const char *const controllers[] = { "+cpu", "+cpuset", "+hugetlb", "+io", "+memory", "+pids" };
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/cgroup.subtree_control", dir) < 0)
                return;
        for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                (void) write_string_file_at(AT_FDCWD, path, controllers[i]);
}

static int make_cgroup(Record *record)
{
        struct statfs s;

        if (statfs(CGROUP_MOUNT, &s) < 0 || s.f_type != CGROUP2_SUPER_MAGIC)
                return 0;

        hand_down(CGROUP_MOUNT);
        if (mkdir(CGROUP_PARENT, 0755) < 0 && errno != EEXIST)
                return negative_errno();
        hand_down(CGROUP_PARENT);
        if (asprintf(&record->cgroup, CGROUP_PARENT "/%s", strrchr(record->run_dir, '/') + 1) < 0) {
                record->cgroup = NULL;
                return -ENOMEM;
        }
        return mkdir(record->cgroup, 0755) < 0 ? negative_errno() : 0;
}

static int make_run_dir(Record *record)
{
        char path[] = RUN_DIR "/agent-XXXXXX";
        int r;

        r = mkdir_p(RUN_DIR, 0711);
        if (r < 0)
                return r;
        if (!mkdtemp(path))
                return negative_errno();
        record->run_dir = strdup(path);
        return record->run_dir ? 0 : -ENOMEM;
}

/* In the child. */
static int prepare(const Record *record, const char *log_path)
{
        _cleanup_free_ char *procs = NULL;
        sigset_t none;
        int log_fd, null_fd;

        if (record->cgroup) {
                if (asprintf(&procs, "%s/cgroup.procs", record->cgroup) < 0)
                        return -ENOMEM;
                if (write_string_file_at(AT_FDCWD, procs, "0") < 0)
                        return -EIO;
        }

        log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        sigemptyset(&none);
        if (log_fd < 0 || null_fd < 0 || setsid() < 0 || chdir("/") < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
            dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0 ||
            close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                return negative_errno();
        umask(0022);
        return 0;
}

static int start_program(Record *record, const char *program, const char *log_path)
{
        _cleanup_free_ char *address = NULL;
        pid_t pid;

        if (asprintf(&address, "unix:%s/agent.sock", record->run_dir) < 0)
                return -ENOMEM;

        pid = fork();
        if (pid < 0)
                return negative_errno();
        if (pid == 0) {
                if (prepare(record, log_path) >= 0)
                        (void) execl(program, program, "--listen", address, (char *) NULL);
                dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
                _exit(127);
        }

        record->agent_pid = pid;
        return pid_start_time(pid, &record->agent_start);
}

/* The end of what it has said. */
static char *last_words(const char *log_path)
{
        char *text = NULL, *line;
        size_t n;

        if (read_file_at(AT_FDCWD, log_path, KIB(64), &text, &n) < 0)
                return NULL;
        while (n > 0 && text[n - 1] == '\n')
                text[--n] = '\0';
        line = strrchr(text, '\n');
        if (line)
                memmove(text, line + 1, strlen(line));
        return text;
}

static int wait_for_socket(const Record *record, const char *log_path, char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *words = NULL;
        usec_t end = now_usec() + LISTEN_DEADLINE;
        int status;

        /* The socket for streams is the last one that the agent opens. */
        if (asprintf(&path, "%s/agent.sock.%d", record->run_dir, AGENT_STREAMS_PORT) < 0) {
                path = NULL;
                return -ENOMEM;
        }

        for (;;) {
                _cleanup_close_ int fd = unix_connect(path, NULL, 0);

                if (fd >= 0)
                        return 0;
                if (waitpid(record->agent_pid, &status, WNOHANG) == record->agent_pid) {
                        words = last_words(log_path);
                        return error_setf(reterr_message, -EIO, "the agent did not start: %s",
                                          isempty(words) ? "no message" : words);
                }
                if (now_usec() >= end)
                        return error_setf(reterr_message, -ETIMEDOUT, "the agent does not listen");
                usleep(POLL_USEC);
        }
}

int agent_launch(Record *record, const char *program, char **reterr_message)
{
        _cleanup_free_ char *log_path = NULL;
        int r;

        r = make_run_dir(record);
        if (r < 0)
                return error_setf(reterr_message, r, RUN_DIR ": %s", strerror(-r));
        if (asprintf(&log_path, "%s/log", record->run_dir) < 0)
                r = -ENOMEM;
        if (r >= 0)
                r = make_cgroup(record);
        if (r < 0)
                (void) error_setf(reterr_message, r, "cgroup: %s", strerror(-r));
        if (r >= 0)
                r = start_program(record, program, log_path);
        if (r >= 0)
                r = wait_for_socket(record, log_path, reterr_message);
        if (r < 0)
                (void) agent_end(record, NULL);
        return r;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
        return type == FTW_DP || type == FTW_D ? rmdir(path) : 0;
}

static int remove_cgroup(const char *path)
{
        _cleanup_free_ char *kill_path = NULL;
        usec_t end = now_usec() + END_DEADLINE;

        if (asprintf(&kill_path, "%s/cgroup.kill", path) < 0)
                return -ENOMEM;
        while (access(path, F_OK) >= 0) {
                (void) write_string_file_at(AT_FDCWD, kill_path, "1");
                (void) nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
                if (access(path, F_OK) < 0)
                        break;
                if (now_usec() >= end)
                        return -EBUSY;
                usleep(POLL_USEC);
        }

        /* Others may be in it. */
        (void) rmdir(CGROUP_PARENT);
        return 0;
}

int agent_end(const Record *record, char **reterr_message)
{
        _cleanup_(pidref_done) PidRef ref = PIDREF_NULL;
        int r = 0, k;

        if (record->agent_pid > 0 && open_agent(record, &ref) >= 0) {
                (void) pidref_kill(&ref, SIGTERM);
                if (fd_wait(ref.fd, POLLIN, (int) (END_DEADLINE / USEC_PER_MSEC)) <= 0) {
                        r = error_setf(reterr_message, -EBUSY, "the agent had to be killed");
                        (void) pidref_kill(&ref, SIGKILL);
                        (void) fd_wait(ref.fd, POLLIN, (int) (END_DEADLINE / USEC_PER_MSEC));
                }
                (void) waitpid(record->agent_pid, NULL, WNOHANG);
        }
        if (record->cgroup) {
                k = remove_cgroup(record->cgroup);
                if (k < 0 && r >= 0)
                        r = error_setf(reterr_message, k, "%s: processes can not be killed", record->cgroup);
        }
        if (record->run_dir)
                (void) rm_rf(record->run_dir);
        return r;
}
