/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole config.json files in the forms that runc, podman and containerd write, and the default of a
 * root directory: everything that goes to the guest, as text, against a golden file. After a wanted
 * change: GOLDEN_UPDATE=1 build/test-spec-golden, and give the reason in the commit.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "runtime/oci/spec-default.h"
#include "runtime/oci/spec-guest.h"

static void dump_message(FILE *f, const char *path, const ProtobufCMessage *m);

static void dump_text(FILE *f, const char *s)
{
        _cleanup_free_ char *text = ASSERT_NOT_NULL(text_escape(s, strlen(s), 4096));

        fprintf(f, " \"%s\"\n", text);
}

static void dump_value(FILE *f, const char *path, const ProtobufCFieldDescriptor *d,
                       const void *member)
{
        if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
                dump_message(f, path, *(const ProtobufCMessage *const *) member);
                return;
        }

        fputs(path, f);
        switch (d->type) {
        case PROTOBUF_C_TYPE_STRING:
                dump_text(f, *(const char *const *) member);
                break;
        case PROTOBUF_C_TYPE_BOOL:
                fprintf(f, " %s\n", *(const protobuf_c_boolean *) member ? "true" : "false");
                break;
        case PROTOBUF_C_TYPE_UINT32:
                fprintf(f, " %" PRIu32 "\n", *(const uint32_t *) member);
                break;
        case PROTOBUF_C_TYPE_INT32:
                fprintf(f, " %" PRIi32 "\n", *(const int32_t *) member);
                break;
        case PROTOBUF_C_TYPE_INT64:
                fprintf(f, " %" PRIi64 "\n", *(const int64_t *) member);
                break;
        case PROTOBUF_C_TYPE_UINT64:
                fprintf(f, " %" PRIu64 "\n", *(const uint64_t *) member);
                break;
        default:
                TEST_FAIL("type %d", d->type);
        }
}

static bool is_zero(const ProtobufCFieldDescriptor *d, const void *member)
{
        switch (d->type) {
        case PROTOBUF_C_TYPE_MESSAGE:
                return !*(const void *const *) member;
        case PROTOBUF_C_TYPE_STRING:
                return isempty(*(const char *const *) member);
        case PROTOBUF_C_TYPE_BOOL:
                return !*(const protobuf_c_boolean *) member;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_INT32:
                return *(const uint32_t *) member == 0;
        default:
                return *(const uint64_t *) member == 0;
        }
}

static size_t size_of(const ProtobufCFieldDescriptor *d)
{
        return d->type == PROTOBUF_C_TYPE_UINT32 ? sizeof(uint32_t)
                : d->type == PROTOBUF_C_TYPE_BOOL ? sizeof(protobuf_c_boolean) : sizeof(uint64_t);
}

static void dump_message(FILE *f, const char *path, const ProtobufCMessage *m)
{
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
                const char *member = (const char *) m + d->offset;
                _cleanup_free_ char *name = NULL;

                ASSERT_TRUE(asprintf(&name, "%s%s%s", path, *path ? "." : "", d->name) > 0);
                if (d->label == PROTOBUF_C_LABEL_REPEATED) {
                        size_t n = *(const size_t *) (const void *) ((const char *) m +
                                                                     d->quantifier_offset);

                        for (size_t j = 0; j < n; j++) {
                                _cleanup_free_ char *element = NULL;

                                ASSERT_TRUE(asprintf(&element, "%s[%zu]", name, j) > 0);
                                dump_value(f, element, d,
                                           *(const char *const *) (const void *) member +
                                                           j * size_of(d));
                        }
                } else if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
                        if (*(const uint32_t *) (const void *) ((const char *) m +
                                                                d->quantifier_offset) == d->id)
                                dump_value(f, name, d, member);
                } else if (!is_zero(d, member))
                        dump_value(f, name, d, member);
        }
}

static void compare(const char *name, OciSpec *oci)
{
        _cleanup_free_ char *path = NULL, *text = NULL, *golden = NULL, *message = NULL;
        _cleanup_oci_shares_ OciShares shares = {};
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_free_ uint8_t *packed = NULL;
        Grpc__Spec *again;
        size_t size, n;
        int r;

        r = oci_spec_to_guest(oci, "web", &shares, &message);
        if (r < 0)
                TEST_FAIL("%s: %s", name, message);

        f = ASSERT_NOT_NULL(open_memstream(&text, &size));
        for (size_t i = 0; i < shares.n; i++)
                fprintf(f, "share %s %s %s%s\n", shares.v[i].source, shares.v[i].name,
                        shares.v[i].read_only ? "ro" : "rw",
                        shares.v[i].recursive ? " recursive" : "");
        for (size_t i = 0; i < oci->notes.n; i++)
                fprintf(f, "note %s\n",
                        oci->notes.v[i] + (startswith(oci->notes.v[i], TESTDATA)
                                                           ? strlen(TESTDATA) + 1
                                                           : 0));

        /* Over the wire and back, as the agent sees it. */
        n = grpc__spec__get_packed_size(oci->spec);
        packed = ASSERT_NOT_NULL(malloc(n));
        ASSERT_EQ(grpc__spec__pack(oci->spec, packed), n);
        again = ASSERT_NOT_NULL(grpc__spec__unpack(NULL, n, packed));
        dump_message(f, "", &again->base);
        grpc__spec__free_unpacked(again, NULL);
        if (oci->extension)
                dump_message(f, "extension", &oci->extension->base);
        ASSERT_OK(fflush(f));

        ASSERT_TRUE(asprintf(&path, "%s/%s.golden", TESTDATA, name) > 0);
        if (getenv("GOLDEN_UPDATE")) {
                ASSERT_OK(write_file_atomic(path, text, size, 0644));
                return;
        }
        ASSERT_OK(read_file_at(AT_FDCWD, path, MIB(1), &golden, NULL));
        for (const char *a = text, *b = golden; *a || *b;) {
                size_t na = strcspn(a, "\n"), nb = strcspn(b, "\n");

                if (na != nb || memcmp(a, b, na) != 0)
                        TEST_FAIL("%s: is\n  %.*s\nshould be\n  %.*s", path, (int) na, a, (int) nb,
                                  b);
                a += na + (a[na] == '\n');
                b += nb + (b[nb] == '\n');
        }
}

static void compare_bundle(const char *name)
{
        _cleanup_free_ char *bundle = NULL, *message = NULL;
        _cleanup_oci_spec_ OciSpec *oci = NULL;

        ASSERT_TRUE(asprintf(&bundle, "%s/%s", TESTDATA, name) > 0);
        if (oci_spec_load(bundle, &oci, &message) < 0)
                TEST_FAIL("%s", message);

        /* The place of the sources is not part of the result. */
        free(oci->bundle);
        ASSERT_TRUE(asprintf(&oci->bundle, "/bundle/%s", name) > 0);
        compare(name, oci);
}

TEST(runc)
{
        compare_bundle("runc");
}

TEST(podman)
{
        compare_bundle("podman");
}

TEST(containerd)
{
        compare_bundle("containerd");
}

TEST(default_root)
{
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        Strv command = {}, env = {};

        ASSERT_OK(strv_add_many(&command, "/bin/sh", "-c", "true", NULL));
        ASSERT_OK(strv_add_many(&env, "A=1", "PATH=/bin", NULL));
        ASSERT_OK(oci_spec_new_default(&(OciDefaults) {
                .root_directory = "/srv/web",
                .command = &command,
                .environment = &env,
                .working_directory = "/tmp",
                .hostname = "web",
                .read_only = true,
                .memory = MIB(64),
        }, &oci));
        strv_done(&command);
        strv_done(&env);
        compare("default-root", oci);
}

TEST(default_user)
{
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        Strv command = {};

        ASSERT_OK(strv_add(&command, "/bin/true"));
        ASSERT_OK(oci_spec_new_default(
                        &(OciDefaults) {
                                        .root_directory = "/srv/web",
                                        .command = &command,
                                        .hostname = "web",
                                        .uid = 1000,
                                        .gid = 100,
                        },
                        &oci));
        strv_done(&command);
        compare("default-user", oci);
}

DEFINE_TEST_MAIN
