/* SPDX-License-Identifier: Apache-2.0 */
/* Image parameters: see params.h. The file may be damaged; every value is checked. */

#include "guest-image/params.h"

#include <fcntl.h>
#include <inttypes.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

int image_params_write(const ImageParams *p, const char *path)
{
        _cleanup_free_ char *root = hex_encode(p->root_hash, DIGEST_SIZE);
        _cleanup_free_ char *salt = hex_encode(p->salt, VERITY_SALT_SIZE), *text = NULL;
        int n;

        if (!root || !salt)
                return -ENOMEM;

        n = asprintf(&text,
                     "# Parameters of the guest image beside this file; written by kata-image.\n"
                     "version=%u\n"
                     "image_size=%" PRIu64 "\n"
                     "data_blocks=%" PRIu64 "\n"
                     "data_block_size=%u\n"
                     "hash_block_size=%u\n"
                     "hash_offset=%" PRIu64 "\n"
                     "hash_algorithm=sha256\n"
                     "root_hash=%s\n"
                     "salt=%s\n"
                     "kernel_verity_params=root_hash=%s,salt=%s,data_blocks=%" PRIu64
                     ",data_block_size=%u,hash_block_size=%u\n",
                     IMAGE_PARAMS_VERSION, p->image_size, p->data_blocks, VERITY_BLOCK_SIZE,
                     VERITY_BLOCK_SIZE, p->data_blocks * VERITY_BLOCK_SIZE, root, salt, root, salt,
                     p->data_blocks, VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE);
        if (n < 0)
                return -ENOMEM;

        return write_file_atomic(path, text, (size_t) n, 0644);
}

typedef enum ParamKey {
        PARAM_VERSION,
        PARAM_IMAGE_SIZE,
        PARAM_DATA_BLOCKS,
        PARAM_DATA_BLOCK_SIZE,
        PARAM_HASH_BLOCK_SIZE,
        PARAM_HASH_OFFSET,
        PARAM_HASH_ALGORITHM,
        PARAM_ROOT_HASH,
        PARAM_SALT,
        PARAM_KERNEL_VERITY_PARAMS,     /* for other readers; derived from the rest */
        _PARAM_MAX,
} ParamKey;

static const char *const param_names[_PARAM_MAX] = {
        [PARAM_VERSION] = "version",
        [PARAM_IMAGE_SIZE] = "image_size",
        [PARAM_DATA_BLOCKS] = "data_blocks",
        [PARAM_DATA_BLOCK_SIZE] = "data_block_size",
        [PARAM_HASH_BLOCK_SIZE] = "hash_block_size",
        [PARAM_HASH_OFFSET] = "hash_offset",
        [PARAM_HASH_ALGORITHM] = "hash_algorithm",
        [PARAM_ROOT_HASH] = "root_hash",
        [PARAM_SALT] = "salt",
        [PARAM_KERNEL_VERITY_PARAMS] = "kernel_verity_params",
};

static int expect_u64(const char *value, uint64_t wanted)
{
        uint64_t v;
        int r = parse_u64(value, &v);

        return r < 0 ? r : v == wanted ? 0 : -EOPNOTSUPP;
}

static int param_parse(ImageParams *p, ParamKey key, const char *value)
{
        uint64_t v;

        switch (key) {
        case PARAM_VERSION:
                return expect_u64(value, IMAGE_PARAMS_VERSION);
        case PARAM_IMAGE_SIZE:
                return parse_u64(value, &p->image_size);
        case PARAM_DATA_BLOCKS:
                return parse_u64(value, &p->data_blocks);
        case PARAM_DATA_BLOCK_SIZE:
        case PARAM_HASH_BLOCK_SIZE:
                return expect_u64(value, VERITY_BLOCK_SIZE);
        case PARAM_HASH_OFFSET:
                return parse_u64(value, &v) < 0 || v % VERITY_BLOCK_SIZE != 0 ? -EINVAL : 0;
        case PARAM_HASH_ALGORITHM:
                return streq(value, "sha256") ? 0 : -EOPNOTSUPP;
        case PARAM_ROOT_HASH:
                return hex_decode(value, p->root_hash, DIGEST_SIZE);
        case PARAM_SALT:
                return hex_decode(value, p->salt, VERITY_SALT_SIZE);
        case PARAM_KERNEL_VERITY_PARAMS:
        default:
                return 0;
        }
}

int image_params_read(ImageParams *ret, const char *path, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        bool seen[_PARAM_MAX] = {};
        ImageParams p = {};
        char *line, *rest;
        unsigned n = 0;
        int r;

        r = read_file_at(AT_FDCWD, path, GUEST_PARAMS_MAX, &text, NULL);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be read: %s", path, strerror(-r));

        for (rest = text; (line = strsep(&rest, "\n"));) {
                size_t key = 0;
                char *value;

                n++;
                if (!*line || *line == '#')
                        continue;

                value = strchr(line, '=');
                if (!value)
                        return error_setf(reterr_message, EINVAL, "%s:%u: not a key=value line", path, n);
                *value++ = '\0';

                while (key < _PARAM_MAX && !streq(line, param_names[key]))
                        key++;
                if (key == _PARAM_MAX || seen[key]) {
                        _cleanup_free_ char *shown = text_escape(line, strlen(line), 64);

                        return error_setf(reterr_message, EINVAL, "%s:%u: %s key '%s'", path, n,
                                          key == _PARAM_MAX ? "unknown" : "repeated", strempty(shown));
                }
                seen[key] = true;

                r = param_parse(&p, (ParamKey) key, value);
                if (r < 0)
                        return error_setf(reterr_message, r, "%s:%u: value of '%s' is %s", path, n,
                                          line, r == -EOPNOTSUPP ? "not supported" : "malformed");
        }

        for (size_t key = 0; key < _PARAM_MAX; key++)
                if (!seen[key] && key != PARAM_KERNEL_VERITY_PARAMS)
                        return error_setf(reterr_message, EINVAL, "%s: key '%s' is missing", path,
                                          param_names[key]);

        if (p.data_blocks == 0 || p.data_blocks > p.image_size / VERITY_BLOCK_SIZE)
                return error_setf(reterr_message, EINVAL,
                                  "%s: %" PRIu64 " data blocks do not fit in %" PRIu64 " bytes", path,
                                  p.data_blocks, p.image_size);

        *ret = p;
        return 0;
}
