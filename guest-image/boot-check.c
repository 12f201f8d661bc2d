/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only program in the container that kata-image boots with a new guest: /boot-check RELEASE. That it runs
 * at all needs the kernel, the agent, the shared directory and a container; what is left to check is that
 * the kernel is the new one. Linked statically, so that its root directory needs nothing else.
 */

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
        struct utsname u;

        if (argc != 2) {
                fprintf(stderr, "usage: boot-check RELEASE\n");
                return 2;
        }
        if (uname(&u) < 0 || strcmp(u.release, argv[1]) != 0) {
                fprintf(stderr, "the running kernel is %s, not %s\n", u.release, argv[1]);
                return 1;
        }
        if (access("/proc/self/status", R_OK) < 0) {
                perror("/proc");
                return 1;
        }

        printf("boot test: Linux %s runs a container\n", u.release);
        return fflush(stdout) == 0 ? 0 : 1;
}
