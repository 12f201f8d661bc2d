/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json made of foreign bytes: no crash, no leak; what is accepted can be packed, translated
 * or not.
 */

#include "basic/limits.h"
#include "runtime/oci/spec-guest.h"
#include "runtime/oci/spec-load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_oci_shares_ OciShares shares = {};
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        _cleanup_free_ char *message = NULL;
        _cleanup_free_ uint8_t *packed = NULL;
        size_t n;
        int r;

        r = oci_spec_parse("config.json", (const char *) data, size, &oci, &message);
        if (r < 0) {
                assert(!oci);
                assert(r == -ENOMEM || (message && !strchr(message, '\n')));
                return 0;
        }

        assert(oci->notes.n <= OCI_NOTES_MAX);
        for (size_t i = 0; i < oci->notes.n; i++)
                assert(!strchr(oci->notes.v[i], '\n'));

        oci->bundle = strdup("/bundle");
        r = oci->bundle ? oci_spec_to_guest(oci, "web", &shares, &message) : -ENOMEM;
        if (r < 0) {
                assert(r == -ENOMEM || message);
                assert(shares.n == 0);
                return 0;
        }

        assert(shares.n >= 1 && shares.n <= 1 + MOUNTS_MAX);
        for (size_t i = 0; i < shares.n; i++) {
                assert(shares.v[i].source[0] == '/');
                assert(startswith(shares.v[i].name, "web"));
                assert(strlen(shares.v[i].name) <= 255);
                assert(i == 0 || !strchr(shares.v[i].name, '/'));
                for (size_t j = 0; j < i; j++)
                        assert(!streq(shares.v[i].name, shares.v[j].name));
        }

        assert(!oci->extension || protobuf_c_message_check(&oci->extension->base));
        n = grpc__spec__get_packed_size(oci->spec);
        packed = malloc(n > 0 ? n : 1);
        if (packed)
                assert(grpc__spec__pack(oci->spec, packed) == n);
        return 0;
}
