/* SPDX-License-Identifier: Apache-2.0 */
/* Processes by pidfd: see pidref.h. */

#include "basic/pidref.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/parse.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int pidref_set(PidRef *ref, pid_t pid)
{
        int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        if (fd < 0)
                return negative_errno();

        pidref_done(ref);
        *ref = (PidRef) { .pid = pid, .fd = fd };
        return 0;
}

int pidref_set_fd(PidRef *ref, int *fd)
{
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *p;
        long pid;
        int r;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", *fd);
        r = read_file_at(AT_FDCWD, path, 4096, &text, NULL);
        if (r < 0)
                return r;

        p = strstr(text, "\nPid:\t");
        if (!p)
                return -EBADF;
        pid = strtol(p + strlen("\nPid:\t"), NULL, 10);
        if (pid <= 0)
                return -ESRCH;

        pidref_done(ref);
        *ref = (PidRef) { .pid = (pid_t) pid, .fd = TAKE_FD(*fd) };
        return 0;
}

void pidref_done(PidRef *ref)
{
        safe_close(ref->fd);
        *ref = PIDREF_NULL;
}

int pidref_kill(const PidRef *ref, int sig)
{
        if (!pidref_is_set(ref))
                return -ESRCH;

        return syscall(SYS_pidfd_send_signal, ref->fd, sig, NULL, 0) < 0 ? negative_errno() : 0;
}

int pidref_reap(const PidRef *ref, int *ret_code, int *ret_status)
{
        siginfo_t si = {};
        int r;

        do
                r = waitid(P_PIDFD, (id_t) ref->fd, &si, WEXITED | WNOHANG);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return negative_errno();
        if (si.si_pid == 0)
                return -EAGAIN;

        *ret_code = si.si_code;
        *ret_status = si.si_status;
        return 0;
}

int pid_start_time(pid_t pid, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        char path[64], *p, *save = NULL;
        int r;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        r = read_file_at(AT_FDCWD, path, 4096, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;

        /* The name in field 2 may contain anything, so count from the last ')'. */
        p = strrchr(text, ')');
        if (!p)
                return -EBADMSG;

        p = strtok_r(p + 1, " ", &save);
        for (unsigned field = 3; p && field < 22; field++)
                p = strtok_r(NULL, " ", &save);

        return p ? parse_u64(p, ret) : -EBADMSG;
}
