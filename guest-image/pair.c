/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel and image as one: see pair.h. */

#include "guest-image/pair.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "guest-image/elf-note.h"
#include "guest-image/run.h"

static const char *const required[] = { "guest.img", "guest.params", "vmlinux", "vmlinux.info" };

void pair_done(Pair *pair)
{
        free(pair->dir);
        strv_done(&pair->files);
        kernel_info_done(&pair->kernel);
        free(pair->version);
        *pair = (Pair) {};
}

static bool belongs(const char *name)
{
        return startswith(name, "vmlinux") || startswith(name, "guest.");
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int list_files(const char *dir, Strv *ret, char **reterr_message)
{
        DIR *d = opendir(dir);
        struct dirent *de;
        int r = 0;

        if (!d)
                return error_setf(reterr_message, errno, "'%s' can not be read: %s", dir,
                                  strerror(errno));
        while (r >= 0 && (de = readdir(d))) {
                if (!belongs(de->d_name))
                        continue;
                if (ret->n >= PAIR_FILES_MAX)
                        r = error_setf(reterr_message, E2BIG, "more than %u files in '%s'",
                                       PAIR_FILES_MAX, dir);
                else
                        r = strv_add(ret, de->d_name);
        }
        closedir(d);
        if (r < 0)
                return r;

        if (ret->n > 0)
                qsort(ret->v, ret->n, sizeof(char *), compare_names);
        for (size_t i = 0; i < ELEMENTSOF(required); i++)
                if (!strv_contains(ret, required[i]))
                        return error_setf(reterr_message, ENOENT,
                                          "'%s' has no %s: it is not a pair of kernel and image", dir,
                                          required[i]);
        return 0;
}

static int open_file(const char *dir, const char *name, uint64_t *ret_size, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (asprintf(&path, "%s/%s", dir, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be read: %s", path,
                                  strerror(errno));
        if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size > PAIR_FILE_MAX)
                return error_setf(reterr_message, EINVAL,
                                  "'%s' is not a regular file of at most %" PRIu64 " MiB", path,
                                  PAIR_FILE_MAX >> 20);

        *ret_size = (uint64_t) st.st_size;
        return TAKE_FD(fd);
}

/* Reads all of from, and writes it to to unless that is -EBADF. */
static int read_through(int from, int to, uint64_t max, uint8_t digest[DIGEST_SIZE])
{
        _cleanup_(digest_freep) Digest *d = NULL;
        _cleanup_free_ uint8_t *buf = malloc(KIB(128));
        uint64_t sum = 0;
        int r;

        if (!buf)
                return -ENOMEM;
        r = digest_new(&d);
        if (r < 0)
                return r;

        for (;;) {
                ssize_t k = read(from, buf, KIB(128));

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return negative_errno();
                if (k == 0)
                        return digest_final(d, digest);
                sum += (uint64_t) k;
                if (sum > max)
                        return -EFBIG;
                r = digest_update(d, buf, (size_t) k);
                if (r >= 0 && to >= 0)
                        r = write_full(to, buf, (size_t) k);
                if (r < 0)
                        return r;
        }
}

static int file_digest(const char *dir, const char *name, uint8_t digest[DIGEST_SIZE],
                       char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        uint64_t size;
        int r;

        fd = open_file(dir, name, &size, reterr_message);
        if (fd < 0)
                return fd;
        r = read_through(fd, -EBADF, PAIR_FILE_MAX, digest);
        return r < 0 ? error_setf(reterr_message, r, "'%s/%s' can not be read: %s", dir, name,
                                  strerror(-r))
                     : 0;
}

/* RELEASE-DIGITS: the digits are from names and contents of all files. */
static int make_version(Pair *pair, char **reterr_message)
{
        _cleanup_(digest_freep) Digest *all = NULL;
        _cleanup_free_ char *hex = NULL;
        uint8_t digest[DIGEST_SIZE];
        char *name;
        int r;

        r = digest_new(&all);
        if (r < 0)
                return r;
        STRV_FOREACH(name, &pair->files) {
                r = file_digest(pair->dir, name, digest, reterr_message);
                if (r >= 0)
                        r = digest_update(all, name, strlen(name) + 1);
                if (r >= 0)
                        r = digest_update(all, digest, sizeof(digest));
                if (r < 0)
                        return r;
        }
        r = digest_final(all, digest);
        if (r < 0)
                return r;

        hex = hex_encode(digest, 4);
        if (!hex || asprintf(&pair->version, "%s-%s", pair->kernel.release, hex) < 0) {
                pair->version = NULL;
                return -ENOMEM;
        }
        return 0;
}

int pair_read(const char *dir, Pair *ret, char **reterr_message)
{
        _cleanup_(pair_done) Pair pair = {};
        int r;

        pair.dir = strdup(dir);
        if (!pair.dir)
                return -ENOMEM;
        r = list_files(dir, &pair.files, reterr_message);
        if (r >= 0)
                r = kernel_info_read(dir, &pair.kernel, reterr_message);
        if (r >= 0)
                r = make_version(&pair, reterr_message);
        if (r < 0)
                return r;

        *ret = pair;
        pair = (Pair) {};
        return 0;
}

static int copy_file(const char *from, const char *to, const char *name, char **reterr_message)
{
        _cleanup_close_ int in = -EBADF, out = -EBADF;
        _cleanup_free_ char *path = NULL;
        uint8_t digest[DIGEST_SIZE];
        uint64_t size;
        int r;

        in = open_file(from, name, &size, reterr_message);
        if (in < 0)
                return in;
        if (asprintf(&path, "%s/%s", to, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        r = out < 0 ? negative_errno() : read_through(in, out, PAIR_FILE_MAX, digest);
        if (r >= 0 && (fchmod(out, 0644) < 0 || fsync(out) < 0))
                r = negative_errno();
        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be written: %s", path, strerror(-r))
                     : 0;
}

int pair_copy(const Pair *pair, const char *to, char **reterr_message)
{
        char *name;
        int r;

        if (mkdir(to, 0755) < 0 || chmod(to, 0755) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be made: %s", to,
                                  strerror(errno));
        STRV_FOREACH(name, &pair->files) {
                r = copy_file(pair->dir, to, name, reterr_message);
                if (r < 0)
                        return r;
        }

        r = fsync_path(to);
        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be written: %s", to, strerror(-r)) : 0;
}

static int verify_kernel(const Pair *pair, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        uint8_t digest[DIGEST_SIZE];
        uint64_t size;
        void *data;
        bool pvh;
        int r;

        r = file_digest(pair->dir, "vmlinux", digest, reterr_message);
        if (r < 0)
                return r;
        if (memcmp(digest, pair->kernel.vmlinux_sha256, DIGEST_SIZE) != 0)
                return error_setf(reterr_message, EBADMSG,
                                  "%s/vmlinux does not have the checksum of vmlinux.info: it is "
                                  "damaged, or of another build", pair->dir);

        fd = open_file(pair->dir, "vmlinux", &size, reterr_message);
        if (fd < 0)
                return fd;
        if (size == 0)
                return error_setf(reterr_message, ENOEXEC, "%s/vmlinux is empty", pair->dir);
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
                return error_setf(reterr_message, errno, "%s/vmlinux can not be read: %s", pair->dir,
                                  strerror(errno));
        pvh = elf_has_pvh_note(data, size);
        (void) munmap(data, size);
        return pvh ? 0 : error_setf(reterr_message, ENOEXEC,
                                    "%s/vmlinux is not an ELF kernel with a PVH entry point",
                                    pair->dir);
}

/* By the program itself, so that it is exactly what 'kata-image verify' checks. */
static int verify_image(const Pair *pair, char **reterr_message)
{
        _cleanup_free_ char *image = NULL, *params = NULL, *complaint = NULL;
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions options = { .argv = &argv, .max = KIB(64) };
        int status, r;

        if (asprintf(&image, "%s/guest.img", pair->dir) < 0 ||
            asprintf(&params, "%s/guest.params", pair->dir) < 0)
                return -ENOMEM;
        r = strv_add_many(&argv, "/proc/self/exe", "verify", "--image", image, "--params", params, NULL);
        if (r >= 0)
                r = run_program(&options, NULL, &status, &complaint, reterr_message);
        if (r < 0)
                return r;

        return status == 0 ? 0 : error_setf(reterr_message, EBADMSG, "%s", complaint);
}

int pair_verify(const Pair *pair, char **reterr_message)
{
        int r = verify_kernel(pair, reterr_message);

        return r < 0 ? r : verify_image(pair, reterr_message);
}
