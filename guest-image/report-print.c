/* SPDX-License-Identifier: Apache-2.0 */
/* kata-image inspect: a loaded report as text and as JSON, see report.h. */

#include <inttypes.h>

#include "basic/parse.h"
#include "guest-image/json.h"
#include "guest-image/report.h"

static const char *const signature_words[] = {
        [SIGNATURE_NONE] = "none",
        [SIGNATURE_UNCHECKED] = "not verified",
        [SIGNATURE_VALID] = "valid",
};

/* Foreign text for a terminal. */
static void put_text(FILE *f, const char *text)
{
        _cleanup_free_ char *shown = text_escape(text, strlen(text), 512);

        fputs(strempty(shown), f);
}

static void print_partitions(const Gpt *gpt, FILE *f)
{
        char text[GUID_TEXT_SIZE];

        guid_text(&gpt->disk, text);
        fprintf(f, "Disk:       %s\n\nPartitions:\n", text);
        for (size_t i = 0; i < gpt->n_partitions; i++) {
                const GptPartition *p = &gpt->partitions[i];

                guid_text(&p->uuid, text);
                fprintf(f, "  %-24s offset %9" PRIu64 "  size %9" PRIu64 "  %s\n", p->name, p->offset,
                        p->size, text);
        }
}

static void print_manifest(const SpdxDocument *m, FILE *f)
{
        fprintf(f, "\nPackages:\n");
        for (size_t i = 0; i < m->n_packages; i++) {
                fputs("  ", f);
                put_text(f, m->packages[i].name);
                fputc(' ', f);
                put_text(f, m->packages[i].version ?: "(version not known)");
                fputc('\n', f);
        }

        fprintf(f, "\nFiles:\n");
        for (size_t i = 0; i < m->n_files; i++) {
                const SpdxFile *e = &m->files[i];
                _cleanup_free_ char *hex = hex_encode(e->sha256, sizeof(e->sha256));

                fprintf(f, "  %s %04o %9" PRIu64 " ", strempty(hex), e->mode, e->size);
                put_text(f, e->path);
                if (e->target) {
                        fputs(" -> ", f);
                        put_text(f, e->target);
                }
                fputs("  [", f);
                put_text(f, m->packages[e->package].name);
                fputs("]\n", f);
        }
}

int image_report_print(const ImageFiles *files, const ImageReport *report, FILE *f)
{
        const GuestParams *p = &report->params;

        fputs("Image:      ", f);
        put_text(f, files->image);
        fprintf(f, ", %" PRIu64 " bytes\nRoot hash:  %s\nSalt:       %s\n", p->image_size,
                p->root_hash_hex, p->salt_hex);
        fprintf(f,
                "Verity:     sha256, %u byte blocks, %" PRIu64 " of data, %" PRIu64
                " of hashes, superblock %s\n",
                VERITY_BLOCK_SIZE, p->data_blocks, verity_hash_blocks(p->data_blocks),
                report->superblock_uuid);
        fprintf(f, "Guest sees: %" PRIu64 " bytes from offset %" PRIu64 "\n",
                guest_params_range_size(p), p->root_offset);
        fprintf(f, "Signature:  %s%s", signature_words[report->signature],
                report->signature_in_image ? ", also in the image" : "");
        if (report->signer.subject) {
                fputs(", by ", f);
                put_text(f, report->signer.subject);
        }
        if (report->signer.fingerprint)
                fprintf(f, "\n            certificate %s", report->signer.fingerprint);
        fputs("\nManifest:   ", f);
        if (report->has_manifest)
                put_text(f, report->manifest.name_space);
        else
                fputs("none", f);
        fputc('\n', f);

        print_partitions(&report->gpt, f);
        if (report->has_manifest)
                print_manifest(&report->manifest, f);
        return ferror(f) ? -EIO : 0;
}

static int add_guid(json_object *o, const char *key, const Guid *guid)
{
        char text[GUID_TEXT_SIZE];

        guid_text(guid, text);
        return json_add_string(o, key, text);
}

static int add_partitions(json_object *o, const Gpt *gpt)
{
        json_object *list = json_add_array(o, "partitions");
        int r;

        r = add_guid(o, "diskUuid", &gpt->disk);
        for (size_t i = 0; r >= 0 && i < gpt->n_partitions; i++) {
                const GptPartition *p = &gpt->partitions[i];
                json_object *e = json_add_object(list, NULL);

                r = json_add_string(e, "name", p->name);
                if (r >= 0)
                        r = add_guid(e, "type", &p->type);
                if (r >= 0)
                        r = add_guid(e, "uuid", &p->uuid);
                if (r >= 0)
                        r = json_add_u64(e, "offset", p->offset);
                if (r >= 0)
                        r = json_add_u64(e, "size", p->size);
        }

        return r;
}

static int add_verity(json_object *o, const ImageReport *report)
{
        json_object *v = json_add_object(o, "verity");
        const GuestParams *p = &report->params;
        int r;

        r = json_add_string(v, "rootHash", p->root_hash_hex);
        if (r >= 0)
                r = json_add_string(v, "salt", p->salt_hex);
        if (r >= 0)
                r = json_add_string(v, "algorithm", "sha256");
        if (r >= 0)
                r = json_add_u64(v, "blockSize", VERITY_BLOCK_SIZE);
        if (r >= 0)
                r = json_add_u64(v, "dataBlocks", p->data_blocks);
        if (r >= 0)
                r = json_add_u64(v, "hashBlocks", verity_hash_blocks(p->data_blocks));
        if (r >= 0)
                r = json_add_u64(v, "rootOffset", p->root_offset);
        if (r >= 0)
                r = json_add_u64(v, "hashOffset", p->hash_offset);
        return r < 0 ? r : json_add_string(v, "superblockUuid", report->superblock_uuid);
}

static int add_signature(json_object *o, const ImageReport *report)
{
        json_object *s = json_add_object(o, "signature");
        int r;

        r = json_add_string(s, "state", signature_words[report->signature]);
        if (r >= 0)
                r = json_add(s, "inImage", json_object_new_boolean(report->signature_in_image));
        if (r >= 0 && report->signer.subject)
                r = json_add_string(s, "signer", report->signer.subject);
        if (r >= 0 && report->signer.fingerprint)
                r = json_add_string(s, "certificateFingerprint", report->signer.fingerprint);
        return r;
}

static int add_file(json_object *list, const SpdxDocument *m, const SpdxFile *f)
{
        _cleanup_free_ char *hex = hex_encode(f->sha256, sizeof(f->sha256));
        json_object *o = json_add_object(list, NULL);
        int r;

        r = hex ? json_add_string(o, "path", f->path) : -ENOMEM;
        if (r >= 0 && f->target)
                r = json_add_string(o, "target", f->target);
        if (r >= 0)
                r = json_add_stringf(o, "mode", "%04o", f->mode);
        if (r >= 0)
                r = json_add_u64(o, "size", f->size);
        if (r >= 0)
                r = json_add_string(o, "sha256", hex);
        return r < 0 ? r : json_add_string(o, "package", m->packages[f->package].name);
}

static int add_manifest(json_object *o, const SpdxDocument *m)
{
        json_object *manifest = json_add_object(o, "manifest"), *list;
        int r;

        r = json_add_string(manifest, "namespace", m->name_space);
        if (r >= 0)
                r = json_add_string(manifest, "created", m->created);
        list = json_add_array(manifest, "packages");
        for (size_t i = 0; r >= 0 && i < m->n_packages; i++) {
                json_object *p = json_add_object(list, NULL);

                r = json_add_string(p, "name", m->packages[i].name);
                if (r >= 0 && m->packages[i].version)
                        r = json_add_string(p, "version", m->packages[i].version);
                if (r >= 0 && m->packages[i].purl)
                        r = json_add_string(p, "purl", m->packages[i].purl);
        }
        list = json_add_array(manifest, "files");
        for (size_t i = 0; r >= 0 && i < m->n_files; i++)
                r = add_file(list, m, &m->files[i]);

        return r;
}

int image_report_print_json(const ImageFiles *files, const ImageReport *report, FILE *f)
{
        _cleanup_(json_object_putp) json_object *o = json_object_new_object();
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_add_string(o, "image", files->image);
        if (r >= 0)
                r = json_add_u64(o, "size", report->params.image_size);
        if (r >= 0)
                r = add_partitions(o, &report->gpt);
        if (r >= 0)
                r = add_verity(o, report);
        if (r >= 0)
                r = add_signature(o, report);
        if (r >= 0 && report->has_manifest)
                r = add_manifest(o, &report->manifest);
        if (r >= 0)
                r = json_text(o, &text);
        if (r < 0)
                return r;

        fputs(text, f);
        return ferror(f) ? -EIO : 0;
}
