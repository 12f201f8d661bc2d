/* SPDX-License-Identifier: Apache-2.0 */
/* Writing SPDX documents: see spdx.h. Pure. */

#include "guest-image/spdx.h"

#include <inttypes.h>

#include <json-c/json.h>

#include "basic/parse.h"
#include "guest-image/guid.h"
#include "guest-image/json.h"

void spdx_document_done(SpdxDocument *document)
{
        for (size_t i = 0; i < document->n_packages; i++) {
                free(document->packages[i].name);
                free(document->packages[i].version);
                free(document->packages[i].purl);
                free(document->packages[i].source);
        }
        for (size_t i = 0; i < document->n_files; i++) {
                free(document->files[i].path);
                free(document->files[i].target);
        }
        free(document->packages);
        free(document->files);
        free(document->name);
        free(document->tool);
        free(document->created);
        free(document->name_space);
        *document = (SpdxDocument) {};
}

static int compare_sha1(const void *a, const void *b)
{
        return memcmp(a, b, SHA1_SIZE);
}

/* SHA-1 of the sorted SHA-1 sums of the package's files, as text (7.9 of the specification). */
static int verification_code(const SpdxDocument *d, size_t package, char **ret)
{
        _cleanup_free_ uint8_t(*sums)[SHA1_SIZE] = calloc(d->n_files + 1, SHA1_SIZE);
        _cleanup_(digest_freep) Digest *digest = NULL;
        uint8_t code[DIGEST_SIZE];
        size_t n = 0;
        int r;

        if (!sums)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_files; i++)
                if (d->files[i].package == package)
                        memcpy(sums[n++], d->files[i].sha1, SHA1_SIZE);
        qsort(sums, n, SHA1_SIZE, compare_sha1);

        r = digest_new_sha1(&digest);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_free_ char *hex = hex_encode(sums[i], SHA1_SIZE);

                r = hex ? digest_update(digest, hex, 2 * SHA1_SIZE) : -ENOMEM;
        }
        if (r >= 0)
                r = digest_final(digest, code);
        if (r < 0)
                return r;

        *ret = hex_encode(code, SHA1_SIZE);
        return *ret ? 0 : -ENOMEM;
}

static int add_package(const SpdxDocument *d, size_t i, json_object *list)
{
        json_object *o = json_add_object(list, NULL), *refs;
        const SpdxPackage *p = &d->packages[i];
        _cleanup_free_ char *code = NULL;
        int r;

        r = verification_code(d, i, &code);
        if (r >= 0)
                r = json_add_stringf(o, "SPDXID", "SPDXRef-Package-%zu", i);
        if (r >= 0)
                r = json_add_string(o, "name", p->name);
        if (r >= 0 && p->version)
                r = json_add_string(o, "versionInfo", p->version);
        if (r >= 0)
                r = json_add_string(o, "downloadLocation", "NOASSERTION");
        if (r >= 0)
                r = json_add(o, "filesAnalyzed", json_object_new_boolean(true));
        if (r >= 0)
                r = json_add_string(json_add_object(o, "packageVerificationCode"),
                                    "packageVerificationCodeValue", code);
        if (r >= 0)
                r = json_add_string(o, "licenseConcluded", "NOASSERTION");
        if (r >= 0)
                r = json_add_string(o, "licenseDeclared", "NOASSERTION");
        if (r >= 0)
                r = json_add_string(o, "copyrightText", "NOASSERTION");
        /* With '_' as in the JSON schema; the prose of the specification has '-'. */
        if (r >= 0 && i == 0)
                r = json_add_string(o, "primaryPackagePurpose", "OPERATING_SYSTEM");
        if (r >= 0 && p->source)
                r = json_add_stringf(o, "sourceInfo", "built from source package %s", p->source);
        if (r < 0 || !p->purl)
                return r;

        refs = json_add_object(json_add_array(o, "externalRefs"), NULL);
        r = json_add_string(refs, "referenceCategory", "PACKAGE-MANAGER");
        if (r >= 0)
                r = json_add_string(refs, "referenceType", "purl");
        return r < 0 ? r : json_add_string(refs, "referenceLocator", p->purl);
}

static int add_checksum(json_object *list, const char *algorithm, const uint8_t *digest, size_t n)
{
        _cleanup_free_ char *hex = hex_encode(digest, n);
        json_object *o = json_add_object(list, NULL);
        int r;

        if (!hex)
                return -ENOMEM;
        r = json_add_string(o, "algorithm", algorithm);
        return r < 0 ? r : json_add_string(o, "checksumValue", hex);
}

/* What the specification has no field for is in the comment; spdx-parse.c knows both forms. */
static int add_file(const SpdxDocument *d, size_t i, json_object *list)
{
        json_object *o = json_add_object(list, NULL), *sums;
        const SpdxFile *f = &d->files[i];
        int r;

        r = json_add_stringf(o, "SPDXID", "SPDXRef-File-%zu", i);
        if (r >= 0)
                r = json_add_stringf(o, "fileName", ".%s", f->path);
        sums = json_add_array(o, "checksums");
        if (r >= 0)
                r = add_checksum(sums, "SHA1", f->sha1, SHA1_SIZE);
        if (r >= 0)
                r = add_checksum(sums, "SHA256", f->sha256, DIGEST_SIZE);
        if (r >= 0)
                r = json_add_string(o, "licenseConcluded", "NOASSERTION");
        if (r >= 0)
                r = json_add_string(o, "copyrightText", "NOASSERTION");
        if (r < 0)
                return r;

        if (f->target)
                return json_add_stringf(o, "comment", "symbolic link to %s", f->target);
        return json_add_stringf(o, "comment", "mode %04o, %" PRIu64 " bytes", f->mode, f->size);
}

static int add_relationship(json_object *list, const char *type, const char *from, const char *to)
{
        json_object *o = json_add_object(list, NULL);
        int r;

        r = json_add_string(o, "spdxElementId", from);
        if (r >= 0)
                r = json_add_string(o, "relationshipType", type);
        return r < 0 ? r : json_add_string(o, "relatedSpdxElement", to);
}

static int add_relationships(const SpdxDocument *d, json_object *list)
{
        char from[40], to[40];
        int r;

        r = add_relationship(list, "DESCRIBES", "SPDXRef-DOCUMENT", "SPDXRef-Package-0");
        for (size_t i = 1; r >= 0 && i < d->n_packages; i++) {
                snprintf(to, sizeof(to), "SPDXRef-Package-%zu", i);
                r = add_relationship(list, "CONTAINS", "SPDXRef-Package-0", to);
        }
        for (size_t i = 0; r >= 0 && i < d->n_files; i++) {
                snprintf(from, sizeof(from), "SPDXRef-Package-%zu", d->files[i].package);
                snprintf(to, sizeof(to), "SPDXRef-File-%zu", i);
                r = add_relationship(list, "CONTAINS", from, to);
        }

        return r;
}

static int make_document(const SpdxDocument *d, json_object *o)
{
        json_object *info, *list;
        int r;

        r = json_add_string(o, "spdxVersion", "SPDX-2.3");
        if (r >= 0)
                r = json_add_string(o, "dataLicense", "CC0-1.0");
        if (r >= 0)
                r = json_add_string(o, "SPDXID", "SPDXRef-DOCUMENT");
        if (r >= 0)
                r = json_add_string(o, "name", d->name);
        if (r >= 0)
                r = json_add_string(o, "documentNamespace", "");

        info = json_add_object(o, "creationInfo");
        if (r >= 0)
                r = json_add_string(info, "created", d->created);
        if (r >= 0)
                r = json_add_stringf(json_add_array(info, "creators"), NULL, "Tool: %s", d->tool);

        list = json_add_array(o, "packages");
        for (size_t i = 0; r >= 0 && i < d->n_packages; i++)
                r = add_package(d, i, list);
        list = json_add_array(o, "files");
        for (size_t i = 0; r >= 0 && i < d->n_files; i++)
                r = add_file(d, i, list);
        return r < 0 ? r : add_relationships(d, json_add_array(o, "relationships"));
}

int spdx_format(const SpdxDocument *document, char **ret)
{
        _cleanup_(json_object_putp) json_object *o = json_object_new_object();
        _cleanup_free_ char *text = NULL;
        char uuid[GUID_TEXT_SIZE];
        Guid guid;
        int r;

        if (!o)
                return -ENOMEM;

        r = make_document(document, o);
        if (r >= 0)
                r = json_text(o, &text);
        if (r >= 0)
                r = guid_derive("kata guest image manifest 1", text, strlen(text), &guid);
        if (r < 0)
                return r;

        /* Keeps its place in the object. */
        guid_text(&guid, uuid);
        r = json_add_stringf(o, "documentNamespace", "https://spdx.org/spdxdocs/%s-%s", document->name,
                             uuid);
        return r < 0 ? r : json_text(o, ret);
}
