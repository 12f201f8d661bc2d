/* SPDX-License-Identifier: Apache-2.0 */
/* Reading SPDX documents: see spdx.h. The document is foreign. */

#include <json-c/json.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "guest-image/json.h"
#include "guest-image/spdx.h"

static int copy_text(json_object *o, const char *key, bool optional, char **ret)
{
        const char *text = json_get_text(o, key);

        if (!text)
                return optional && !json_object_object_get_ex(o, key, NULL) ? 0 : -EBADMSG;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

/* "SPDXRef-KIND-N" */
static int parse_id(const char *id, const char *kind, uint64_t *ret)
{
        const char *number = id ? startswith(id, "SPDXRef-") : NULL;

        number = number ? startswith(number, kind) : NULL;
        number = number ? startswith(number, "-") : NULL;
        return number && parse_u64(number, ret) >= 0 ? 0 : -EBADMSG;
}

/* The n-th element has the id KIND-n. */
static int check_id(json_object *o, const char *kind, size_t n)
{
        uint64_t id;

        return parse_id(json_get_text(o, "SPDXID"), kind, &id) >= 0 && id == n ? 0 : -EBADMSG;
}

static int parse_purl(json_object *o, char **ret)
{
        json_object *refs = json_get(o, "externalRefs", json_type_array), *ref;

        if (!refs)
                return 0;
        ref = json_object_array_length(refs) == 1 ? json_object_array_get_idx(refs, 0) : NULL;
        return copy_text(ref, "referenceLocator", false, ret);
}

static int parse_package(json_object *o, size_t i, SpdxPackage *p)
{
        static const char built_from[] = "built from source package ";
        char *source = NULL;
        int r;

        r = check_id(o, "Package", i);
        if (r >= 0)
                r = copy_text(o, "name", false, &p->name);
        if (r >= 0)
                r = copy_text(o, "versionInfo", true, &p->version);
        if (r >= 0)
                r = parse_purl(o, &p->purl);
        if (r >= 0)
                r = copy_text(o, "sourceInfo", true, &source);
        if (r < 0 || !source)
                return r;

        p->source = source;
        if (!startswith(source, built_from))
                return -EBADMSG;
        memmove(source, source + strlen(built_from), strlen(source + strlen(built_from)) + 1);
        return 0;
}

static int parse_checksums(json_object *o, SpdxFile *f)
{
        json_object *sums = json_get(o, "checksums", json_type_array);
        static const char *const algorithms[] = { "SHA1", "SHA256" };
        uint8_t *digests[] = { f->sha1, f->sha256 };
        const size_t sizes[] = { SHA1_SIZE, DIGEST_SIZE };

        if (!sums || json_object_array_length(sums) != ELEMENTSOF(algorithms))
                return -EBADMSG;
        for (size_t i = 0; i < ELEMENTSOF(algorithms); i++) {
                json_object *sum = json_object_array_get_idx(sums, i);
                const char *algorithm = json_get_text(sum, "algorithm"),
                           *value = json_get_text(sum, "checksumValue");

                if (!algorithm || !value || !streq(algorithm, algorithms[i]) ||
                    strlen(value) != 2 * sizes[i] || hex_decode(value, digests[i], sizes[i]) < 0)
                        return -EBADMSG;
        }

        return 0;
}

/* "symbolic link to TARGET" or "mode 0755, 12 bytes" */
static int parse_comment(const char *comment, SpdxFile *f)
{
        const char *rest = startswith(comment, "symbolic link to ");
        char number[24];
        size_t n;

        if (rest) {
                f->mode = 0777;
                f->target = strdup(rest);
                return !*rest ? -EBADMSG : f->target ? 0 : -ENOMEM;
        }

        rest = startswith(comment, "mode ");
        if (!rest || strspn(rest, "01234567") != 4 || rest[4] != ',' || rest[5] != ' ')
                return -EBADMSG;
        for (size_t i = 0; i < 4; i++)
                f->mode = f->mode * 8 + (unsigned) (rest[i] - '0');
        rest += 6;
        n = strspn(rest, "0123456789");
        if (n == 0 || n >= sizeof(number) || !streq(rest + n, " bytes"))
                return -EBADMSG;
        memcpy(number, rest, n);
        number[n] = '\0';
        return parse_u64(number, &f->size) < 0 ? -EBADMSG : 0;
}

static int parse_file(json_object *o, size_t i, SpdxFile *f)
{
        const char *name = json_get_text(o, "fileName"), *comment = json_get_text(o, "comment");
        int r;

        f->package = SIZE_MAX;
        if (!name || !startswith(name, "./") || !name[2] || !comment)
                return -EBADMSG;
        f->path = strdup(name + 1);
        if (!f->path)
                return -ENOMEM;

        r = check_id(o, "File", i);
        if (r >= 0)
                r = parse_checksums(o, f);
        return r < 0 ? r : parse_comment(comment, f);
}

static int parse_relationship(json_object *o, SpdxDocument *d)
{
        const char *type = json_get_text(o, "relationshipType"),
                   *from = json_get_text(o, "spdxElementId"),
                   *to = json_get_text(o, "relatedSpdxElement");
        uint64_t package, file, contained;

        if (!type || !from || !to)
                return -EBADMSG;
        if (streq(type, "DESCRIBES"))
                return streq(from, "SPDXRef-DOCUMENT") && streq(to, "SPDXRef-Package-0") ? 0 : -EBADMSG;
        if (!streq(type, "CONTAINS") || parse_id(from, "Package", &package) < 0 ||
            package >= d->n_packages)
                return -EBADMSG;
        if (parse_id(to, "Package", &contained) >= 0)
                return package == 0 && contained > 0 && contained < d->n_packages ? 0 : -EBADMSG;
        if (parse_id(to, "File", &file) < 0 || file >= d->n_files ||
            d->files[file].package != SIZE_MAX)
                return -EBADMSG;

        d->files[file].package = package;
        return 0;
}

/* The elements of an array member, one after the other; the error names the first that is wrong. */
static int each(json_object *o, const char *key, SpdxDocument *d,
                int (*parse)(json_object *element, size_t i, SpdxDocument *d), char **reterr_message)
{
        json_object *list = json_get(o, key, json_type_array);
        size_t n = list ? json_object_array_length(list) : 0;

        if (!list || n > IMAGE_MANIFEST_ITEMS)
                return error_setf(reterr_message, EBADMSG, "'%s' is not there or too long", key);
        for (size_t i = 0; i < n; i++) {
                int r = parse(json_object_array_get_idx(list, i), i, d);

                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return error_setf(reterr_message, r, "'%s' number %zu is not understood", key,
                                          i);
        }

        return 0;
}

static int package_at(json_object *o, size_t i, SpdxDocument *d)
{
        SpdxPackage *grown = reallocarray(d->packages, i + 1, sizeof(SpdxPackage));

        if (!grown)
                return -ENOMEM;
        d->packages = grown;
        d->packages[i] = (SpdxPackage) {};
        d->n_packages = i + 1;
        return parse_package(o, i, &d->packages[i]);
}

static int file_at(json_object *o, size_t i, SpdxDocument *d)
{
        SpdxFile *grown = reallocarray(d->files, i + 1, sizeof(SpdxFile));

        if (!grown)
                return -ENOMEM;
        d->files = grown;
        d->files[i] = (SpdxFile) {};
        d->n_files = i + 1;
        return parse_file(o, i, &d->files[i]);
}

static int relationship_at(json_object *o, size_t i, SpdxDocument *d)
{
        return parse_relationship(o, d);
}

static int parse_creation(json_object *o, SpdxDocument *d)
{
        json_object *info = json_get(o, "creationInfo", json_type_object),
                    *creators = info ? json_get(info, "creators", json_type_array) : NULL, *creator;
        const char *tool;

        creator = creators && json_object_array_length(creators) == 1 ?
                                  json_object_array_get_idx(creators, 0) : NULL;
        tool = json_object_is_type(creator, json_type_string) ?
                       startswith(json_object_get_string(creator), "Tool: ") : NULL;
        if (!tool)
                return -EBADMSG;
        d->tool = text_escape(tool, strlen(tool), 128);
        return d->tool ? copy_text(info, "created", false, &d->created) : -ENOMEM;
}

int spdx_parse(const char *text, size_t n, SpdxDocument *ret, char **reterr_message)
{
        _cleanup_(spdx_document_done) SpdxDocument d = {};
        _cleanup_(json_object_putp) json_object *o = NULL;
        const char *version;
        int r;

        r = json_parse(text, n, IMAGE_MANIFEST_MAX, &o, reterr_message);
        if (r < 0)
                return r;

        version = json_get_text(o, "spdxVersion");
        if (!version || !streq(version, "SPDX-2.3"))
                return error_setf(reterr_message, EBADMSG, "not an SPDX 2.3 document");
        r = copy_text(o, "name", false, &d.name);
        if (r >= 0)
                r = copy_text(o, "documentNamespace", false, &d.name_space);
        if (r >= 0)
                r = parse_creation(o, &d);
        if (r < 0)
                return error_setf(reterr_message, r, "name or origin of the document is missing");

        r = each(o, "packages", &d, package_at, reterr_message);
        if (r >= 0)
                r = each(o, "files", &d, file_at, reterr_message);
        if (r >= 0)
                r = each(o, "relationships", &d, relationship_at, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < d.n_files; i++)
                if (d.files[i].package == SIZE_MAX)
                        return error_setf(reterr_message, EBADMSG, "file number %zu is in no package",
                                          i);
        *ret = d;
        d = (SpdxDocument) {};
        return 0;
}
