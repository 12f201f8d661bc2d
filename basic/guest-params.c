/* SPDX-License-Identifier: Apache-2.0 */
/* guest.params: see guest-params.h. Every byte of the file is treated as foreign. */

#include "basic/guest-params.h"

#include <fcntl.h>
#include <inttypes.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define LINE_MAX_BYTES 1024U

typedef struct ParseState {
        GuestParams params;
        bool seen[16];
        unsigned line;
} ParseState;

typedef struct ParamKey {
        const char *name;
        int (*parse)(GuestParams *p, const char *value, uint64_t fixed);
        uint64_t fixed;         /* the only value we can work with, or an offset into GuestParams */
        bool optional;
} ParamKey;

void guest_params_done(GuestParams *params)
{
        free(params->kernel_verity_params);
        *params = (GuestParams) {};
}

static int parse_fixed_number(GuestParams *p, const char *value, uint64_t fixed)
{
        uint64_t v;
        int r = parse_u64(value, &v);

        if (r < 0)
                return r;
        return v == fixed ? 0 : -EOPNOTSUPP;
}

static int parse_algorithm(GuestParams *p, const char *value, uint64_t fixed)
{
        return streq(value, "sha256") ? 0 : -EOPNOTSUPP;
}

static int parse_number(GuestParams *p, const char *value, uint64_t offset)
{
        return parse_u64(value, (uint64_t *) (void *) ((char *) p + offset));
}

static int parse_digest(const char *value, uint8_t digest[static VERITY_DIGEST_SIZE],
                char hex[static 2 * VERITY_DIGEST_SIZE + 1])
{
        if (strlen(value) != 2 * VERITY_DIGEST_SIZE ||
            strspn(value, "0123456789abcdef") != 2 * VERITY_DIGEST_SIZE)
                return -EINVAL;

        memcpy(hex, value, 2 * VERITY_DIGEST_SIZE + 1);
        return hex_decode(value, digest, VERITY_DIGEST_SIZE);
}

static int parse_root_hash(GuestParams *p, const char *value, uint64_t fixed)
{
        return parse_digest(value, p->root_hash, p->root_hash_hex);
}

static int parse_salt(GuestParams *p, const char *value, uint64_t fixed)
{
        return parse_digest(value, p->salt, p->salt_hex);
}

static int parse_manifest(GuestParams *p, const char *value, uint64_t fixed)
{
        char hex[2 * VERITY_DIGEST_SIZE + 1];

        p->has_manifest = true;
        return parse_digest(value, p->manifest_sha256, hex);
}

static int parse_kernel_verity_params(GuestParams *p, const char *value, uint64_t fixed)
{
        p->kernel_verity_params = strdup(value);
        return p->kernel_verity_params ? 0 : -ENOMEM;
}

static const ParamKey param_keys[] = {
        { "version", parse_fixed_number, GUEST_PARAMS_VERSION },
        { "image_size", parse_number, offsetof(GuestParams, image_size) },
        { "root_offset", parse_number, offsetof(GuestParams, root_offset) },
        { "data_blocks", parse_number, offsetof(GuestParams, data_blocks) },
        { "data_block_size", parse_fixed_number, VERITY_BLOCK_SIZE },
        { "hash_block_size", parse_fixed_number, VERITY_BLOCK_SIZE },
        { "hash_offset", parse_number, offsetof(GuestParams, hash_offset) },
        { "hash_algorithm", parse_algorithm, 0 },
        { "root_hash", parse_root_hash, 0 },
        { "salt", parse_salt, 0 },
        { "manifest_sha256", parse_manifest, 0, .optional = true },
        { "kernel_verity_params", parse_kernel_verity_params, 0, .optional = true },
};

static int parse_line(ParseState *s, char *line, char **reterr_message)
{
        const ParamKey *key = NULL;
        char *value;
        int r;

        if (line[0] == '\0' || line[0] == '#')
                return 0;

        value = strchr(line, '=');
        if (!value)
                return error_setf(reterr_message, EBADMSG, "line %u: no '=' in it", s->line);
        *value++ = '\0';

        for (size_t i = 0; i < ELEMENTSOF(param_keys); i++)
                if (streq(param_keys[i].name, line))
                        key = &param_keys[i];
        if (!key) {
                _cleanup_free_ char *name = text_escape(line, strlen(line), 64);

                return error_setf(reterr_message, EBADMSG, "line %u: unknown key '%s'", s->line,
                                  strempty(name));
        }
        if (s->seen[key - param_keys])
                return error_setf(reterr_message, EBADMSG, "line %u: %s= is given twice", s->line,
                                  key->name);
        s->seen[key - param_keys] = true;

        r = key->parse(&s->params, value, key->fixed);
        if (r == -ENOMEM)
                return r;
        if (r == -EOPNOTSUPP)
                return error_setf(reterr_message, r, "line %u: value of %s= is not supported",
                                s->line, key->name);
        if (r < 0)
                return error_setf(reterr_message, EBADMSG, "line %u: value of %s= is not valid",
                                s->line, key->name);
        return 0;
}

uint64_t verity_hash_blocks(uint64_t data_blocks)
{
        const uint64_t per_block = VERITY_BLOCK_SIZE / VERITY_DIGEST_SIZE;
        uint64_t sum = 0;

        for (uint64_t n = data_blocks; n > 1;) {
                n = n / per_block + (n % per_block != 0 ? 1 : 0);
                sum += n;
        }

        return sum;
}

uint64_t guest_params_range_size(const GuestParams *p)
{
        return p->hash_offset + verity_hash_blocks(p->data_blocks) * VERITY_BLOCK_SIZE;
}

static int check_numbers(const GuestParams *p, char **reterr_message)
{
        /*
         * One block has no tree: its digest would be the root hash. An erofs image is never that
         * small.
         */
        if (p->data_blocks < 2 || p->data_blocks > IMAGE_BLOCKS_MAX)
                return error_setf(reterr_message, EBADMSG,
                                "data_blocks=%" PRIu64 " is out of range", p->data_blocks);
        if (p->image_size % VERITY_BLOCK_SIZE != 0 ||
            p->image_size > 2 * IMAGE_BLOCKS_MAX * VERITY_BLOCK_SIZE)
                return error_setf(reterr_message, EBADMSG, "image_size=%" PRIu64 " is out of range",
                                  p->image_size);
        if (p->root_offset % VERITY_BLOCK_SIZE != 0 || p->root_offset > p->image_size)
                return error_setf(reterr_message, EBADMSG,
                                  "root_offset=%" PRIu64 " is not a block of the image",
                                  p->root_offset);
        /* One block of superblock is between data and tree. */
        if (p->hash_offset % VERITY_BLOCK_SIZE != 0 || p->hash_offset > p->image_size ||
            p->hash_offset < (p->data_blocks + 1) * VERITY_BLOCK_SIZE)
                return error_setf(reterr_message, EBADMSG,
                                  "hash_offset=%" PRIu64 " is not behind the data", p->hash_offset);
        if (p->image_size < p->root_offset + guest_params_range_size(p))
                return error_setf(reterr_message, EBADMSG,
                                  "image_size=%" PRIu64 " does not fit data and hash tree",
                                  p->image_size);
        return 0;
}

/* Upstream's form says the same five things once more; they must not differ. */
static int check_kernel_verity_params(const GuestParams *p, char **reterr_message)
{
        static const char *const names[] = { "root_hash", "salt", "data_blocks", "data_block_size",
                                             "hash_block_size" };
        bool seen[ELEMENTSOF(names)] = {};
        _cleanup_free_ char *copy = NULL;
        char blocks[24], size[24], *save = NULL;
        const char *values[] = { p->root_hash_hex, p->salt_hex, blocks, size, size };
        size_t n = 0;

        if (!p->kernel_verity_params)
                return 0;

        copy = strdup(p->kernel_verity_params);
        if (!copy)
                return -ENOMEM;
        snprintf(blocks, sizeof(blocks), "%" PRIu64, p->data_blocks);
        snprintf(size, sizeof(size), "%u", VERITY_BLOCK_SIZE);

        for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
                char *value = strchr(item, '=');
                bool good = false;

                if (value)
                        *value++ = '\0';
                for (size_t i = 0; value && i < ELEMENTSOF(names); i++)
                        if (streq(item, names[i]) && !seen[i] && streq(value, values[i]))
                                good = seen[i] = true;
                if (!good)
                        return error_setf(reterr_message, EBADMSG,
                                        "kernel_verity_params= does not agree with the other keys");
                n++;
        }

        return n == ELEMENTSOF(names) ? 0 :
               error_setf(reterr_message, EBADMSG, "kernel_verity_params= is not complete");
}

static int check_all(const ParseState *s, char **reterr_message)
{
        int r;

        for (size_t i = 0; i < ELEMENTSOF(param_keys); i++)
                if (!s->seen[i] && !param_keys[i].optional)
                        return error_setf(reterr_message, EBADMSG, "%s= is missing",
                                        param_keys[i].name);

        r = check_numbers(&s->params, reterr_message);
        return r < 0 ? r : check_kernel_verity_params(&s->params, reterr_message);
}

int guest_params_parse(const char *text, size_t n, GuestParams *ret, char **reterr_message)
{
        ParseState s = {};
        int r = 0;

        if (n > GUEST_PARAMS_MAX)
                return error_setf(reterr_message, EFBIG, "more than %zu bytes", GUEST_PARAMS_MAX);

        for (size_t i = 0; i < n && r >= 0;) {
                const char *end = memchr(text + i, '\n', n - i);
                size_t k = end ? (size_t) (end - text) - i : n - i;
                char line[LINE_MAX_BYTES];

                s.line++;
                if (k >= sizeof(line) || memchr(text + i, '\0', k)) {
                        r = error_setf(reterr_message, EBADMSG, "line %u: too long or not text",
                                        s.line);
                        break;
                }
                memcpy(line, text + i, k);
                line[k] = '\0';
                r = parse_line(&s, line, reterr_message);
                i += k + 1;
        }

        if (r >= 0)
                r = check_all(&s, reterr_message);
        if (r < 0) {
                guest_params_done(&s.params);
                return r;
        }

        *ret = s.params;
        return 0;
}

int guest_params_load(const char *path, GuestParams *ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = read_file_at(AT_FDCWD, path, GUEST_PARAMS_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r,
                                "parameters of the guest image, %s, can not be read: %s", path,
                                strerror(-r));

        r = guest_params_parse(text, n, ret, reterr_message);
        return r < 0 ? error_prefixf(reterr_message, r, "%s", path) : 0;
}

int guest_params_format(const GuestParams *p, char **ret)
{
        _cleanup_free_ char *root = hex_encode(p->root_hash, VERITY_DIGEST_SIZE),
                            *salt = hex_encode(p->salt, VERITY_DIGEST_SIZE),
                            *manifest = hex_encode(p->manifest_sha256, VERITY_DIGEST_SIZE);
        int n;

        if (!root || !salt || !manifest)
                return -ENOMEM;

        n = asprintf(ret,
                     "# Parameters of the guest image beside this file; written by kata-image.\n"
                     "version=%u\n"
                     "image_size=%" PRIu64 "\n"
                     "root_offset=%" PRIu64 "\n"
                     "data_blocks=%" PRIu64 "\n"
                     "data_block_size=%u\n"
                     "hash_block_size=%u\n"
                     "hash_offset=%" PRIu64 "\n"
                     "hash_algorithm=sha256\n"
                     "root_hash=%s\n"
                     "salt=%s\n"
                     "%s%s%s"
                     "kernel_verity_params=root_hash=%s,salt=%s,data_blocks=%" PRIu64
                     ",data_block_size=%u,hash_block_size=%u\n",
                     GUEST_PARAMS_VERSION, p->image_size, p->root_offset, p->data_blocks,
                     VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE, p->hash_offset, root, salt,
                     p->has_manifest ? "manifest_sha256=" : "", p->has_manifest ? manifest : "",
                     p->has_manifest ? "\n" : "", root, salt, p->data_blocks, VERITY_BLOCK_SIZE,
                     VERITY_BLOCK_SIZE);
        return n < 0 ? -ENOMEM : 0;
}

char *image_sibling(const char *image_path, const char *suffix)
{
        const char *dot = endswith(image_path, ".img") ?: endswith(image_path, ".raw");
        char *path;

        if (asprintf(&path, "%.*s%s", (int) (dot ? dot - image_path : (ssize_t) strlen(image_path)),
                     image_path, suffix) < 0)
                return NULL;
        return path;
}
