/* SPDX-License-Identifier: Apache-2.0 */
/* Packages inside of static programs: see linked.h. The program may be anybody's; sizes are bounded. */

#include "guest-image/linked.h"

#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "guest-image/elf-note.h"

#define NOTE_LINKED_PACKAGES 1U

enum {
        FIELD_NAME,
        FIELD_VERSION,
        FIELD_ARCHITECTURE,
        FIELD_SOURCE,
        _FIELD_MAX,
};

/* What occurs in names and versions of packages; a blank between the two of a source. */
static bool field_is_valid(const char *s, bool blank)
{
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+~:-");

        if (blank && n > 0 && s[n] == ' ')
                return field_is_valid(s + n + 1, false);
        return n > 0 && !s[n] && n <= LINKED_FIELD_MAX;
}

static int add_package(DpkgPackages *packages, char *const fields[static _FIELD_MAX])
{
        DpkgPackage *grown = reallocarray(packages->v, packages->n + 1, sizeof(*grown)), *p;

        if (!grown)
                return -ENOMEM;
        packages->v = grown;

        p = &packages->v[packages->n++];
        *p = (DpkgPackage) {
                .name = strdup(fields[FIELD_NAME]),
                .version = strdup(fields[FIELD_VERSION]),
                .architecture = strdup(fields[FIELD_ARCHITECTURE]),
                .source = strdup(fields[FIELD_SOURCE]),
        };
        return p->name && p->version && p->architecture && p->source ? 0 : -ENOMEM;
}

static int parse_line(char *line, DpkgPackages *packages)
{
        char *fields[_FIELD_MAX];

        for (size_t i = 0; i < _FIELD_MAX; i++) {
                fields[i] = strsep(&line, "|");
                if (!fields[i] || !field_is_valid(fields[i], i == FIELD_SOURCE))
                        return -EBADMSG;
        }
        if (line)
                return -EBADMSG;

        return packages->n >= LINKED_PACKAGES_MAX ? -EFBIG : add_package(packages, fields);
}

int linked_packages_parse(const char *text, size_t n, DpkgPackages *ret, char **reterr_message)
{
        _cleanup_(dpkg_packages_done) DpkgPackages packages = {};
        _cleanup_free_ char *copy = NULL;
        char *line, *rest;
        int r = 0;

        if (n > LINKED_PACKAGES_MAX * 4 * LINKED_FIELD_MAX)
                return error_setf(reterr_message, EFBIG, "its note has %zu bytes", n);
        if (memchr(text, '\0', n))
                return error_setf(reterr_message, EBADMSG, "its note is not text");
        copy = strndup(text, n);
        if (!copy)
                return -ENOMEM;

        for (rest = copy; r >= 0 && (line = strsep(&rest, "\n"));)
                if (*line)
                        r = parse_line(line, &packages);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return error_setf(reterr_message, r, "its note is not a list of packages");

        *ret = packages;
        packages = (DpkgPackages) {};
        return 0;
}

int linked_packages_load(const char *program, DpkgPackages *ret, char **reterr_message)
{
        _cleanup_free_ char *data = NULL;
        const void *note;
        size_t n, size;
        int r;

        r = read_file_at(AT_FDCWD, program, LINKED_PROGRAM_MAX, &data, &n);
        if (r >= 0 && elf_find_note(data, n, "kata", NOTE_LINKED_PACKAGES, &note, &size))
                r = linked_packages_parse(note, size, ret, reterr_message);
        else if (r < 0)
                (void) error_setf(reterr_message, r, "%s", strerror(-r));
        return r < 0 ? error_prefixf(reterr_message, r, "packages linked into '%s'", program) : 0;
}
