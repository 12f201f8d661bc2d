/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways out of containers that were found in other runtimes, by their numbers; those that have no better place
 * among the other live tests. docs/PROTOCOL.md has the list of all of them.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/test-container-live-exec.h"
#include "basic/fd.h"

#define EXECS 60U

/*
 * CVE-2016-9962: a process that joins is visible inside before it executes its program. Process 1 looks at every
 * descriptor of everything that it sees, all the time; it finds pipes, and nothing that was the agent's.
 */
TEST(cve_2016_9962)
{
        static Run run;
        static ExecRun sleeper, x;

        run_init(&run, "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; "
                       "for f in $p/fd/*; do t=$(readlink $f); case $t in pipe:*) seen=1;; /dev/null|'') ;; "
                       "*) echo leak $f $t;; esac; done; done; "
                       "[ \"$seen\" ] && [ ! \"$told\" ] && told=1 && echo seen; done");
        start_sleeper(&run);
        exec_init(&sleeper, &run, "sleep 1000");
        ASSERT_OK(exec_create(&sleeper));
        while (!strstr(run.output, "seen\n"))
                ASSERT_OK(loop_run_once(run.loop, 1000));

        for (unsigned i = 0; i < EXECS; i++) {
                exec_init(&x, &run, "");
                x.args[0] = (char *) "true";
                x.process.n_args = 1;
                ASSERT_EQ(exec_all(&x), 0);
                exec_done(&x);
        }
        ASSERT_STREQ(run.output, "seen\n");
        exec_done(&sleeper);
        run_done(&run);
}

/* CVE-2025-31133: what covers masked paths is not what the image or a mount has put under the name /dev/null. */
TEST(cve_2025_31133)
{
        static Run run;
        static char *bind[] = { (char *) "bind" }, *masked[] = { (char *) "/etc/passwd" };
        char dir[256], path[256];

        ASSERT_OK(mkdir(host_path(dir, sizeof(dir), "evil-dev"), 0755));
        ASSERT_OK(symlink("/etc/link", host_path(path, sizeof(path), "evil-dev/null")));
        run_init(&run, "cat /etc/passwd; stat -c '%F %t:%T' /etc/passwd; stat -L -c '%t:%T' /proc/self/fd/0");
        run.spec.n_mounts = 1;
        add_mount(&run, "/dev", dir, "bind", bind, 1);
        run.linux_part.maskedpaths = masked;
        run.linux_part.n_maskedpaths = 1;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_STREQ(run.output, "character special file 1:3\n1:3\n");
        run_done(&run);
        ASSERT_OK(rm_rf(dir));
}

/* CVE-2022-23648: what a volume is filled with comes from the image, wherever symlinks there point to. */
TEST(cve_2022_23648)
{
        static Run run;
        static char *options[] = { (char *) "tmpcopyup" };
        char target[512], path[256], made[512];

        for (unsigned absolute = 0; absolute < 2; absolute++) {
                snprintf(target, sizeof(target), "%s%s/volume", absolute ? "" : "../../../../../..", base);
                ASSERT_OK(symlink(target, host_path(path, sizeof(path), "rootfs/volume")));
                run_init(&run, "cat /volume/data && echo leak; ls /volume | wc -l");
                add_mount(&run, "/volume", "tmpfs", "tmpfs", options, ELEMENTSOF(options));
                ASSERT_EQ(run_all(&run), 0);
                ASSERT_NULL(strstr(run.output, "volume data"));
                ASSERT_NULL(strstr(run.output, "leak"));
                ASSERT_CONTAINS(run.output, "0\n");
                run_done(&run);
                ASSERT_OK(unlink(path));
        }

        /* The mount point was made where the symlink leads to inside of the root. */
        snprintf(made, sizeof(made), "rootfs%s/volume", base);
        ASSERT_OK(access(host_path(path, sizeof(path), made), F_OK));
        ASSERT_OK(access(host_path(path, sizeof(path), "volume/data"), F_OK));
        snprintf(made, sizeof(made), "rootfs/tmp/%s", strrchr(base, '/') + 1);
        ASSERT_OK(rm_rf(host_path(path, sizeof(path), made)));
}
