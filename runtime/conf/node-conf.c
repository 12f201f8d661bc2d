/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node configuration through libeconf. Host side; the files are root's, their content is checked.
 *
 * libeconf finds the files, puts them in order and refuses what it can not read. The values are
 * taken from the line parser that sandbox definitions have as well: libeconf (0.5.1 and 0.7.7
 * alike) drops the second of two equal keys, adds a line without "=" to the value above it, cuts at
 * "#" and takes the outer quotes off `"a b" c="d e"`; none of that could be told to the operator.
 */

#include "runtime/conf/node-conf.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libeconf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/conf/conf-file.h"
#include "runtime/conf/conf-tables.h"

NodeConf *node_conf_free(NodeConf *conf)
{
        if (!conf)
                return NULL;

        free(conf->guest_directory);
        free(conf->kernel);
        free(conf->kernel_release);
        free(conf->image);
        free(conf->image_parameters);
        free(conf->image_certificate);
        free(conf->image_signature);
        free(conf->debug_image);
        free(conf->debug_parameters);
        free(conf->qemu_path);
        free(conf->virtiofsd_path);
        free(conf->kernel_parameters);
        free(conf->kernel_modules);
        free(conf->user);
        strv_done(&conf->files);
        return mfree(conf);
}

/* kernel_parameters is the one string whose default is empty but not "search for it". */
static int ensure_strings(NodeConf *conf)
{
        if (!conf->kernel_parameters)
                conf->kernel_parameters = strdup("");

        return conf->kernel_parameters ? 0 : -ENOMEM;
}

int node_conf_new(NodeConf **ret)
{
        _cleanup_node_conf_ NodeConf *conf = new0(NodeConf, 1);
        int r;

        if (!conf)
                return -ENOMEM;

        r = conf_apply_fallbacks(node_conf_table, conf);
        if (r < 0)
                return r;
        r = ensure_strings(conf);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(conf);
        return 0;
}

static void econf_file_freep(econf_file **f)
{
        if (*f)
                econf_freeFile(*f);
}

typedef struct EconfFiles {
        econf_file **v;
        size_t n;
} EconfFiles;

static void econf_files_done(EconfFiles *files)
{
        for (size_t i = 0; i < files->n; i++)
                econf_file_freep(&files->v[i]);
        free(files->v);
}

static int econf_error_to_errno(econf_err e)
{
        return e == ECONF_NOMEM ? -ENOMEM : e == ECONF_NOFILE ? -ENOENT : -EINVAL;
}

/*
 * libeconf reads a directory as an empty file, stops without a name at a link to nowhere and has no
 * limit of size: each of its files is looked at first. -ENOENT only if the path itself does not
 * exist.
 */
static int check_file(const char *path, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
                int r = negative_errno();

                if (r == -ENOENT && lstat(path, &st) == 0)
                        return error_setf(reterr_message, -ELOOP, "%s: link to a missing file",
                                          path);
                return r == -ENOENT ? r
                                    : error_setf(reterr_message, r, "%s: %s", path, strerror(-r));
        }

        if (fstat(fd, &st) < 0)
                return error_setf(reterr_message, negative_errno(), "%s: %s", path,
                                  strerror(errno));
        if (S_ISCHR(st.st_mode))
                return 0; /* /dev/null: switched off */
        if (!S_ISREG(st.st_mode))
                return error_setf(reterr_message, -EINVAL, "%s: not a regular file", path);
        if ((uint64_t) st.st_size > CONFIG_FILE_MAX)
                return error_setf(reterr_message, -EFBIG, "%s: larger than %zu KiB",
                                  path, CONFIG_FILE_MAX / 1024);

        return 0;
}

static int check_place(const char *dir, char **reterr_message)
{
        _cleanup_free_ char *main_file = NULL, *drop_ins = NULL;
        struct dirent *de;
        DIR *d;
        int r;

        if (asprintf(&main_file, "%s/kata.conf", dir) < 0) {
                main_file = NULL;
                return -ENOMEM;
        }
        if (asprintf(&drop_ins, "%s/kata.conf.d", dir) < 0) {
                drop_ins = NULL;
                return -ENOMEM;
        }

        r = check_file(main_file, reterr_message);
        if (r < 0 && r != -ENOENT)
                return r;

        d = opendir(drop_ins);
        if (!d) {
                r = negative_errno();
                return r == -ENOENT ? 0
                                    : error_setf(reterr_message, r, "%s: %s", drop_ins,
                                                 strerror(-r));
        }

        r = 0;
        while (r >= 0 && (de = readdir(d))) {
                _cleanup_free_ char *path = NULL;

                if (!endswith(de->d_name, ".conf"))
                        continue;
                if (asprintf(&path, "%s/%s", drop_ins, de->d_name) < 0) {
                        path = NULL;
                        r = -ENOMEM;
                } else
                        r = check_file(path, reterr_message);
        }

        closedir(d);
        return r;
}

static int read_files(const char *root, EconfFiles *ret, char **reterr_message)
{
        _cleanup_free_ char *vendor = NULL, *admin = NULL, *name = NULL;
        EconfFiles files = {};
        uint64_t line = 0;
        econf_err e;
        int r;

        if (asprintf(&vendor, "%s%s", strempty(root), LIBDIR) < 0) {
                vendor = NULL;
                return -ENOMEM;
        }
        if (asprintf(&admin, "%s%s", strempty(root), PKGSYSCONFDIR) < 0) {
                admin = NULL;
                return -ENOMEM;
        }

        r = check_place(vendor, reterr_message);
        if (r < 0)
                return r;
        r = check_place(admin, reterr_message);
        if (r < 0)
                return r;

        /*
         * Not the merged form: each file is checked for itself, also where a later one overrides
         * it.
         */
        e = econf_readDirsHistory(&files.v, &files.n, vendor, admin, "kata", "conf", "=", "#");
        if (e == ECONF_NOFILE && files.n == 0) {
                /* 0.5.1 leaves an empty list behind, 0.7 NULL. */
                free(files.v);
                *ret = (EconfFiles) {};
                return 0;
        }
        if (e != ECONF_SUCCESS) {
                /* files is not ours to free then: libeconf has done it. */
                econf_errLocation(&name, &line);
                return error_setf(reterr_message, econf_error_to_errno(e), "%s:%" PRIu64 ": %s",
                                  isempty(name) ? admin : name, line, econf_errString(e));
        }

        *ret = files;
        return 0;
}

static int apply_entry(
                NodeConf *conf,
                const ConfFile *file,
                size_t i,
                const char *path,
                char **reterr_message)
{
        const ConfEntry *e = &file->entries[i];
        const char *section = file->sections[e->section].name;
        const ConfKey *key;
        int r;

        key = conf_key_find(node_conf_table, section, e->key);
        if (!key) {
                _cleanup_free_ char *known = conf_list_keys(node_conf_table, section);

                return error_setf(reterr_message, -EINVAL,
                                  "%s:%u: [%s] %s=: unknown key; known are %s", path, e->line,
                                  section, e->key, strempty(known));
        }

        for (size_t j = i; j-- > 0 && file->entries[j].section == e->section;)
                if (streq(file->entries[j].key, e->key))
                        return error_setf(reterr_message, -EINVAL,
                                          "%s:%u: [%s] %s=: given already, in line %u", path,
                                          e->line, section, e->key, file->entries[j].line);

        r = conf_key_apply(key, e->value, conf);
        if (r < 0)
                return conf_value_error(reterr_message, r, path, e->line, section, key, e->value);

        return 0;
}

static int apply_file(NodeConf *conf, const char *path, char **reterr_message)
{
        _cleanup_conf_file_ ConfFile *file = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, CONFIG_FILE_MAX, &text, &size);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        r = conf_file_parse(path, text, size, &file, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < file->n_sections; i++)
                if (!conf_section_known(node_conf_table, file->sections[i].name)) {
                        _cleanup_free_ char *known = conf_list_sections(node_conf_table);

                        return error_setf(reterr_message, -EINVAL,
                                          "%s:%u: [%s]: unknown section; known are %s", path,
                                          file->sections[i].line, file->sections[i].name,
                                          strempty(known));
                }

        for (size_t i = 0; i < file->n_entries; i++) {
                r = apply_entry(conf, file, i, path, reterr_message);
                if (r < 0)
                        return r;
        }

        return strv_add(&conf->files, path);
}

int node_conf_load(const char *root, NodeConf **ret, char **reterr_message)
{
        _cleanup_(econf_files_done) EconfFiles files = {};
        _cleanup_node_conf_ NodeConf *conf = NULL;
        int r;

        r = node_conf_new(&conf);
        if (r < 0)
                return r;

        r = read_files(root, &files, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < files.n; i++) {
                _cleanup_free_ char *path = econf_getPath(files.v[i]);

                r = path ? apply_file(conf, path, reterr_message) : -ENOMEM;
                if (r < 0)
                        return r;
        }

        r = ensure_strings(conf);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(conf);
        return 0;
}

static int find_program(
                const char *configured,
                const char *const *places,
                const char *what,
                const char *key,
                const char *packages,
                char **ret,
                char **reterr_message)
{
        Strv tried = {};
        char *copy;

        if (configured) {
                if (access(configured, X_OK) < 0) {
                        int r = negative_errno();
                        return error_setf(reterr_message, r,
                                          "%s: %s, which [Machine] %s= names: %s", what, configured,
                                          key, strerror(-r));
                }
        } else {
                for (size_t i = 0; places[i] && !configured; i++) {
                        if (access(places[i], X_OK) >= 0)
                                configured = places[i];
                        else if (strv_add(&tried, places[i]) < 0)
                                break;
                }
                if (!configured) {
                        _cleanup_free_ char *list = strv_join(&tried, ", ");

                        strv_done(&tried);
                        return error_setf(
                                        reterr_message, -ENOENT,
                                        "%s is not installed (looked for %s): install %s or set [Machine] %s=",
                                        what, strempty(list), packages, key);
                }
                strv_done(&tried);
        }

        copy = strdup(configured);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int node_conf_find_qemu(const NodeConf *conf, char **ret, char **reterr_message)
{
        static const char *const places[] = { "/usr/bin/qemu-system-x86_64",
                                              "/usr/local/bin/qemu-system-x86_64", NULL };

        return find_program(conf->qemu_path, places, "QEMU", "QemuPath",
                            "the package qemu-system-x86", ret, reterr_message);
}

int node_conf_find_virtiofsd(const NodeConf *conf, char **ret, char **reterr_message)
{
        /* Debian 13 has virtiofsd as a package of its own; Debian 12 ships QEMU's C version. */
        static const char *const places[] = { "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd",
                                              NULL };

        return find_program(conf->virtiofsd_path, places, "virtiofsd", "VirtiofsdPath",
                            "the package virtiofsd (Debian 13) or qemu-system-common (Debian 12)",
                            ret, reterr_message);
}
