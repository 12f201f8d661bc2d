/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena, and hand-assembled CreateContainerRequest bytes: published numbers, packed and
 * unpacked fields, unknown fields, hostile shapes.
 */

#include "proto/pb-arena.h"

#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/extension.pb-c.h"

/* Written down from the tables of the protocol, not made by an encoder. */
static const char golden_create[] =
        "\x0a\x03" "web"                                /* 1 container_id */
        "\x12\x03" "one"                                /* 2 exec_id */
        "\x22\x13"                                      /* 4 devices[0], 19 bytes: */
            "\x0a\x02" "02"                             /*   1 id */
            "\x12\x03" "blk"                            /*   2 type */
            "\x22\x08" "/dev/sda"                       /*   4 container_path */
        "\x2a\x1b"                                      /* 5 storages[0], 27 bytes: */
            "\x0a\x09" "virtio-fs"                      /*   1 driver */
            "\x2a\x03" "dax"                            /*   5 options[0] */
            "\x32\x02" "/m"                             /*   6 mount_point */
            "\x3a\x05"                                  /*   7 fs_group: */
                "\x10\xe8\x07"                          /*     2 group_id = 1000 */
                "\x18\x01"                              /*     3 policy = OnRootMismatch */
        "\x32\x55"                                      /* 6 OCI, 85 bytes: */
            "\x0a\x05" "1.1.0"                          /*   1 Version */
            "\x12\x21"                                  /*   2 Process, 33 bytes: */
                "\x08\x01"                              /*     1 Terminal */
                "\x1a\x0a"                              /*     3 User: */
                    "\x08\x21\x10\x22"                  /*       1 UID = 33, 2 GID = 34 */
                    "\x1a\x02\x05\x06"                  /*       3 AdditionalGids, packed */
                    "\x18\x07"                          /*       3 AdditionalGids, unpacked */
                "\x22\x02" "sh"                         /*     4 Args[0] */
                "\x22\x02" "-c"                         /*     4 Args[1] */
                "\x58\x9c\xfc\xff\xff\xff\xff\xff\xff\xff\x01" /* 11 OOMScoreAdj = -484 */
            "\x3a\x06" "\x0a\x01" "k" "\x12\x01" "v"    /*   7 Annotations["k"] = "v" */
            "\x42\x21"                                  /*   8 Linux, 33 bytes: */
                "\x1a\x06" "\x0a\x01" "a" "\x12\x01" "b" /*    3 Sysctl["a"] = "b" */
                "\x42\x17"                              /*     8 Seccomp, 23 bytes: */
                    "\x0a\x04" "KILL"                   /*       1 DefaultAction */
                    "\x22\x0f"                          /*       4 Syscalls[0]: */
                        "\x0a\x04" "open"               /*         1 Names[0] */
                        "\x12\x05" "ERRNO"              /*         2 Action */
                        "\x18\x01"                      /*         3 errnoret = 1 */
        "\x38\x01"                                      /* 7 sandbox_pidns */
        "\x48\x01"                                      /* 9 stdin_port = 1 */
        "\x50\x80\x08"                                  /* 10 stdout_port = 1024 */
        "\x58\xff\xff\xff\xff\x0f"                      /* 11 stderr_port = 2^32 - 1 */
        "\xa2\x06\x03" "xyz";                           /* 100: unknown, to be skipped */
#define GOLDEN_SIZE (sizeof(golden_create) - 1)

#define CREATE (&grpc__create_container_request__descriptor)

TEST(golden_create_container)
{
        _cleanup_pb_arena_ PbArena arena = {};
        Grpc__CreateContainerRequest *c;

        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(CREATE, &arena, golden_create, GOLDEN_SIZE, &c));

        ASSERT_STREQ(c->container_id, "web");
        ASSERT_STREQ(c->exec_id, "one");
        ASSERT_NULL(c->string_user);
        ASSERT_EQ(c->n_devices, 1);
        ASSERT_STREQ(c->devices[0]->id, "02");
        ASSERT_STREQ(c->devices[0]->type, "blk");
        ASSERT_STREQ(c->devices[0]->vm_path, "");
        ASSERT_STREQ(c->devices[0]->container_path, "/dev/sda");
        ASSERT_EQ(c->n_storages, 1);
        ASSERT_STREQ(c->storages[0]->driver, "virtio-fs");
        ASSERT_EQ(c->storages[0]->n_options, 1);
        ASSERT_STREQ(c->storages[0]->options[0], "dax");
        ASSERT_STREQ(c->storages[0]->mount_point, "/m");
        ASSERT_EQ(c->storages[0]->fs_group->group_id, 1000);
        ASSERT_EQ(c->storages[0]->fs_group->group_change_policy,
                  TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch);
        ASSERT_FALSE(c->storages[0]->shared);
        ASSERT_TRUE(c->sandbox_pidns);
        ASSERT_EQ(c->stdin_port, 1);
        ASSERT_EQ(c->stdout_port, 1024);
        ASSERT_EQ(c->stderr_port, UINT32_MAX);

        ASSERT_STREQ(c->oci->version, "1.1.0");
        ASSERT_TRUE(c->oci->process->terminal);
        ASSERT_EQ(c->oci->process->user->uid, 33);
        ASSERT_EQ(c->oci->process->user->gid, 34);
        ASSERT_EQ(c->oci->process->user->n_additionalgids, 3);
        for (unsigned i = 0; i < 3; i++)
                ASSERT_EQ(c->oci->process->user->additionalgids[i], 5 + i);
        ASSERT_EQ(c->oci->process->n_args, 2);
        ASSERT_STREQ(c->oci->process->args[1], "-c");
        ASSERT_EQ(c->oci->process->oomscoreadj, -484);
        ASSERT_EQ(c->oci->n_annotations, 1);
        ASSERT_STREQ(c->oci->annotations[0]->key, "k");
        ASSERT_STREQ(c->oci->annotations[0]->value, "v");

        ASSERT_EQ(c->oci->linux->n_sysctl, 1);
        ASSERT_STREQ(c->oci->linux->sysctl[0]->value, "b");
        ASSERT_STREQ(c->oci->linux->seccomp->defaultaction, "KILL");
        ASSERT_EQ(c->oci->linux->seccomp->n_syscalls, 1);
        ASSERT_EQ(c->oci->linux->seccomp->syscalls[0]->errno_ret_case,
                  GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET);
        ASSERT_EQ(c->oci->linux->seccomp->syscalls[0]->errnoret, 1);
}

TEST(cut_message)
{
        unsigned refused = 0;

        for (size_t n = 0; n < GOLDEN_SIZE; n++) {
                _cleanup_pb_arena_ PbArena arena = {};
                _cleanup_free_ void *copy = ASSERT_NOT_NULL(malloc(n > 0 ? n : 1));
                Grpc__CreateContainerRequest *c;
                int r;

                memcpy(copy, golden_create, n);
                pb_arena_init(&arena, 0);
                r = pb_unpack(CREATE, &arena, copy, n, &c);
                ASSERT_TRUE(r == 0 || r == -EBADMSG);
                refused += r < 0;
        }

        /*
         * A cut between two top-level fields is still a message: nine such places, and no bytes at
         * all.
         */
        ASSERT_EQ(refused, GOLDEN_SIZE - 10);
}

TEST(empty_message)
{
        _cleanup_pb_arena_ PbArena arena = {};
        Kata__Systemd__V1__AttachStdioRequest *a;

        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&kata__systemd__v1__attach_stdio_request__descriptor, &arena, NULL, 0,
                            &a));
        ASSERT_STREQ(a->container_id, "");
        ASSERT_EQ(a->stdout_port, 0);
}

TEST(bad_strings)
{
        ASSERT_OK(pb_check(CREATE, "\x0a\x02\xc3\xa9", 4));
        ASSERT_ERROR(pb_check(CREATE, "\x0a\x02" "a\0", 4), EBADMSG);
        ASSERT_ERROR(pb_check(CREATE, "\x0a\x01\xff", 3), EBADMSG);
        /* Nested, and only where the schema says string. */
        ASSERT_ERROR(pb_check(CREATE, "\x32\x03\x0a\x01\xff", 5), EBADMSG);
        ASSERT_OK(pb_check(&grpc__write_stream_request__descriptor, "\x1a\x01\xff", 3));
}

TEST(bad_wire)
{
        /* Field 0, group, endless varint, tag over 32 bits, length over the end. */
        ASSERT_ERROR(pb_check(CREATE, "\x00\x00", 2), EBADMSG);
        ASSERT_ERROR(pb_check(CREATE, "\x0b", 1), EBADMSG);
        ASSERT_ERROR(pb_check(CREATE, "\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11), EBADMSG);
        ASSERT_ERROR(pb_check(CREATE, "\x80\x80\x80\x80\x80\x01\x00", 7), EBADMSG);
        ASSERT_ERROR(pb_check(CREATE, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), EBADMSG);
}

TEST(budget)
{
        enum { N = 2 * 1024 * 1024 };
        _cleanup_pb_arena_ PbArena arena = {};
        _cleanup_free_ uint8_t *bomb = ASSERT_NOT_NULL(malloc(2 * N));
        Grpc__CreateContainerRequest *c;

        /* Two million empty storages in a frame of 4 MiB. */
        for (size_t i = 0; i < N; i++) {
                bomb[2 * i] = 0x2a;
                bomb[2 * i + 1] = 0;
        }

        pb_arena_init(&arena, 0);
        ASSERT_ERROR(pb_unpack(CREATE, &arena, bomb, 2 * N, &c), ENOBUFS);
        ASSERT_TRUE(arena.used <= PB_ARENA_MAX);
        pb_arena_done(&arena);
        ASSERT_EQ(arena.used, 0);

        /* The arena is as good as new. */
        ASSERT_OK(pb_unpack(CREATE, &arena, golden_create, GOLDEN_SIZE, &c));
        ASSERT_STREQ(c->container_id, "web");
}

TEST(arena)
{
        _cleanup_pb_arena_ PbArena arena = {};
        uint8_t *p;

        pb_arena_init(&arena, KIB(64));
        for (unsigned i = 0; i < 100; i++) {
                p = ASSERT_NOT_NULL(pb_arena_alloc(&arena, i));
                ASSERT_EQ((uintptr_t) p % 16, 0);
                memset(p, 0xaa, i);
        }
        ASSERT_FALSE(arena.exhausted);
        p = ASSERT_NOT_NULL(pb_arena_alloc(&arena, KIB(40)));
        memset(p, 0, KIB(40));
        ASSERT_NULL(pb_arena_alloc(&arena, KIB(40)));
        ASSERT_TRUE(arena.exhausted);
        ASSERT_NULL(pb_arena_alloc(&arena, SIZE_MAX));
        ASSERT_TRUE(arena.used <= KIB(64));
}

DEFINE_TEST_MAIN
