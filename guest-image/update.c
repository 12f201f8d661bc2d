/* SPDX-License-Identifier: Apache-2.0 */
/* A new pair from source: see update.h. */

#include "guest-image/update.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "guest-image/kernel-info.h"
#include "guest-image/run.h"

#define WORK_PREFIX ".build-"

typedef struct Builder {
        uid_t uid;
        gid_t gid;      /* both 0: the caller's own */
} Builder;

static int find_builder(Builder *ret, char **reterr_message)
{
        const struct passwd *pw;

        *ret = (Builder) {};
        if (geteuid() != 0)
                return 0;

        pw = getpwnam(BUILD_USER);
        if (!pw)
                return error_setf(reterr_message, ESRCH,
                                  "user '" BUILD_USER "' that builds does not exist: run systemd-sysusers");
        *ret = (Builder) { .uid = pw->pw_uid, .gid = pw->pw_gid };
        return 0;
}

/* A directory that the builder may write to. */
static int builder_dir(const Builder *b, const char *path, char **reterr_message)
{
        int r = mkdir_p(path, 0755);

        if (r >= 0 && b->uid != 0 && lchown(path, b->uid, b->gid) < 0)
                r = negative_errno();
        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be made for the build: %s", path,
                                  strerror(-r))
                     : 0;
}

int update_work_dir(const char *cache, char **ret, char **reterr_message)
{
        _cleanup_free_ char *template = NULL;
        struct dirent *de;
        DIR *d;

        d = opendir(cache);
        if (!d)
                return error_setf(reterr_message, errno, "'%s' can not be read: %s", cache,
                                  strerror(errno));
        while ((de = readdir(d))) {
                _cleanup_free_ char *path = NULL;

                if (!startswith(de->d_name, WORK_PREFIX))
                        continue;
                if (asprintf(&path, "%s/%s", cache, de->d_name) < 0)
                        path = NULL;
                else
                        (void) rm_rf(path);
        }
        closedir(d);

        if (asprintf(&template, "%s/" WORK_PREFIX "XXXXXX", cache) < 0) {
                template = NULL;
                return -ENOMEM;
        }
        if (!mkdtemp(template) || chmod(template, 0755) < 0)
                return error_setf(reterr_message, errno, "'%s' is not writable: %s", cache,
                                  strerror(errno));
        *ret = TAKE_PTR(template);
        return 0;
}

/* What is missing for a build, for the end of an error; "" if nothing is. */
static char *missing_packages(void)
{
        static const struct {
                const char *file, *package;
        } needs[] = {
                { "/usr/bin/gcc", "gcc" },      { "/usr/bin/make", "make" },
                { "/usr/bin/flex", "flex" },    { "/usr/bin/bison", "bison" },
                { "/usr/bin/bc", "bc" },        { "/usr/include/libelf.h", "libelf-dev" },
                { "/usr/bin/xz", "xz-utils" },  { "/usr/bin/perl", "perl" },
                { "/usr/bin/patch", "patch" },  { "/usr/bin/mkfs.erofs", "erofs-utils" },
        };
        _cleanup_(strv_done) Strv packages = {};
        _cleanup_free_ char *list = NULL;
        char *text;

        for (size_t i = 0; i < ELEMENTSOF(needs); i++)
                if (access(needs[i].file, F_OK) < 0 && strv_add(&packages, needs[i].package) < 0)
                        return NULL;
        if (packages.n == 0)
                return strdup("");

        list = strv_join(&packages, " ");
        return list && asprintf(&text, "; missing here: apt install %s", list) >= 0 ? text : NULL;
}

static int build_kernel(const UpdateOptions *o, const Builder *b, const KernelStatus *status,
                        char **reterr_message)
{
        _cleanup_free_ char *script = NULL, *tmp = NULL, *kernels = NULL, *missing = NULL;
        _cleanup_(strv_done) Strv argv = {}, environment = {};
        const RunOptions run = {
                .argv = &argv,
                .environment = &environment,
                .uid = b->uid,
                .gid = b->gid,
                .max = 65536,
                .forward = true,
        };
        int r;

        if (asprintf(&script, "%s/build", o->kernel_dir) < 0 || asprintf(&tmp, "%s/.tmp", o->output_dir) < 0 ||
            asprintf(&kernels, "%s/kernel", o->cache) < 0)
                return -ENOMEM;
        r = builder_dir(b, tmp, reterr_message);
        if (r >= 0)
                r = builder_dir(b, kernels, reterr_message);
        if (r >= 0)
                r = strv_add_many(&argv, script, "--out", o->output_dir, "--source", status->tarball, NULL);
        if (r >= 0)
                r = strv_addf(&environment, "KATA_CACHE=%s", o->cache);
        if (r >= 0)
                r = strv_addf(&environment, "TMPDIR=%s", tmp);
        if (r < 0)
                return r;

        log_info("Building the kernel from %s %s", KERNEL_SOURCE_PACKAGE, status->available);
        r = run_program(&run, NULL, NULL, NULL, reterr_message);
        (void) rm_rf(tmp);
        if (r < 0) {
                _cleanup_free_ char *text = strdup(error_text(*reterr_message, r));

                missing = missing_packages();
                return error_setf(reterr_message, r, "the kernel was not built: %s%s",
                                  strempty(text), strempty(missing));
        }

        return kernel_info_set_source(o->output_dir, KERNEL_SOURCE_PACKAGE, status->available,
                                      reterr_message);
}

/* The files of the kernel in use. */
static int keep_kernel(const UpdateOptions *o, const Builder *b, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions run = { .argv = &argv, .uid = b->uid, .gid = b->gid, .max = 65536 };
        struct dirent *de;
        DIR *d;
        int r;

        r = strv_add_many(&argv, "cp", "--target-directory", o->output_dir, "--", NULL);
        d = opendir(o->guest_dir);
        if (!d)
                return error_setf(reterr_message, errno, "'%s' can not be read: %s", o->guest_dir,
                                  strerror(errno));
        while (r >= 0 && (de = readdir(d)))
                if (startswith(de->d_name, "vmlinux"))
                        r = strv_addf(&argv, "%s/%s", o->guest_dir, de->d_name);
        closedir(d);

        return r < 0 ? r : run_program(&run, NULL, NULL, NULL, reterr_message);
}

static int build_image(const UpdateOptions *o, const Builder *b, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions run = { .argv = &argv, .uid = b->uid, .gid = b->gid, .max = 65536 };
        _cleanup_free_ char *missing = NULL, *text = NULL;
        int r;

        log_info("Building the image");
        r = strv_add_many(&argv, "/proc/self/exe", "build", "--output-dir", o->output_dir, "--agent",
                          o->agent, "--root", o->root, NULL);
        if (r >= 0)
                r = run_program(&run, NULL, NULL, NULL, reterr_message);
        if (r >= 0)
                return 0;

        text = strdup(error_text(*reterr_message, r));
        missing = missing_packages();
        return error_setf(reterr_message, r, "the image was not built: %s%s", strempty(text),
                          strempty(missing));
}

int update_build(const UpdateOptions *o, const KernelStatus *status, char **reterr_message)
{
        Builder builder;
        int r;

        if (status->state == KERNEL_UPDATE && !status->tarball)
                return error_setf(reterr_message, ENOENT, "%s", status->text);

        r = find_builder(&builder, reterr_message);
        if (r >= 0)
                r = builder_dir(&builder, o->output_dir, reterr_message);
        if (r >= 0)
                r = status->state == KERNEL_UPDATE ? build_kernel(o, &builder, status, reterr_message)
                                                   : keep_kernel(o, &builder, reterr_message);
        return r < 0 ? r : build_image(o, &builder, reterr_message);
}
