/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over every file of a corpus directory, so that each compiler and each sanitizer
 * build checks the known inputs without libFuzzer. An empty or missing corpus is a failure: every
 * target has one from its first commit.
 */

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char *argv[])
{
        unsigned n = 0;
        DIR *d;

        if (argc != 2) {
                fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
                return 2;
        }

        d = opendir(argv[1]);
        if (!d) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
                return 1;
        }

        for (struct dirent *de; (de = readdir(d));) {
                _cleanup_free_ char *data = NULL;
                size_t size;

                if (de->d_type != DT_REG)
                        continue;
                if (read_file_at(dirfd(d), de->d_name, MIB(8), &data, &size) < 0) {
                        fprintf(stderr, "%s: can not be read\n", de->d_name);
                        closedir(d);
                        return 1;
                }

                /* An exact copy, so that a read past the end is seen by ASan. */
                _cleanup_free_ uint8_t *exact = malloc(size > 0 ? size : 1);
                if (!exact)
                        return 1;
                memcpy(exact, data, size);
                fprintf(stderr, "%s (%zu bytes)\n", de->d_name, size);
                (void) LLVMFuzzerTestOneInput(exact, size);
                n++;
        }

        closedir(d);
        fprintf(stderr, "%u inputs\n", n);
        return n > 0 ? 0 : 1;
}
