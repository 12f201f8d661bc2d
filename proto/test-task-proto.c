/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's Task service: messages against the published field numbers (containerd 1.6 to 2.3, which are
 * alike), and bytes written down by hand from those numbers.
 */

#include "basic/test.h"
#include "proto/cgroup1.pb-c.h"
#include "proto/cgroup2.pb-c.h"
#include "proto/empty.pb-c.h"
#include "proto/pb-arena.h"
#include "proto/task-events.pb-c.h"
#include "proto/task.pb-c.h"
#include "proto/test-fields.h"

static const MessageFields messages[] = {
        { &google__protobuf__any__descriptor, "1=type_url:string 2=value:bytes" },
        { &google__protobuf__timestamp__descriptor, "1=seconds:int64 2=nanos:int32" },
        { &google__protobuf__empty__descriptor, "" },

        { &containerd__task__v2__mount__descriptor,
          "1=type:string 2=source:string 3=target:string 4=options:string[]" },
        { &containerd__task__v2__create_task_request__descriptor,
          "1=id:string 2=bundle:string 3=rootfs:Mount[] 4=terminal:bool 5=stdin:string 6=stdout:string "
          "7=stderr:string 8=checkpoint:string 9=parent_checkpoint:string 10=options:Any "
          "1000=host_hooks:bool" },
        { &containerd__task__v2__create_task_response__descriptor, "1=pid:uint32" },
        { &containerd__task__v2__start_request__descriptor, "1=id:string 2=exec_id:string" },
        { &containerd__task__v2__start_response__descriptor, "1=pid:uint32" },
        { &containerd__task__v2__delete_request__descriptor, "1=id:string 2=exec_id:string" },
        { &containerd__task__v2__delete_response__descriptor,
          "1=pid:uint32 2=exit_status:uint32 3=exited_at:Timestamp" },
        { &containerd__task__v2__exec_process_request__descriptor,
          "1=id:string 2=exec_id:string 3=terminal:bool 4=stdin:string 5=stdout:string 6=stderr:string "
          "7=spec:Any" },
        { &containerd__task__v2__resize_pty_request__descriptor,
          "1=id:string 2=exec_id:string 3=width:uint32 4=height:uint32" },
        { &containerd__task__v2__state_request__descriptor, "1=id:string 2=exec_id:string" },
        { &containerd__task__v2__state_response__descriptor,
          "1=id:string 2=bundle:string 3=pid:uint32 4=status:Status 5=stdin:string 6=stdout:string "
          "7=stderr:string 8=terminal:bool 9=exit_status:uint32 10=exited_at:Timestamp 11=exec_id:string" },
        { &containerd__task__v2__pause_request__descriptor, "1=id:string" },
        { &containerd__task__v2__resume_request__descriptor, "1=id:string" },
        { &containerd__task__v2__kill_request__descriptor,
          "1=id:string 2=exec_id:string 3=signal:uint32 4=all:bool" },
        { &containerd__task__v2__close_iorequest__descriptor, "1=id:string 2=exec_id:string 3=stdin:bool" },
        { &containerd__task__v2__pids_request__descriptor, "1=id:string" },
        { &containerd__task__v2__process_info__descriptor, "1=pid:uint32 2=info:Any" },
        { &containerd__task__v2__pids_response__descriptor, "1=processes:ProcessInfo[]" },
        { &containerd__task__v2__checkpoint_task_request__descriptor, "1=id:string 2=path:string 3=options:Any" },
        { &containerd__task__v2__update_task_request__descriptor,
          "1=id:string 2=resources:Any 3=annotations:map<string,string> 1000=of_machine:bool" },
        { &containerd__task__v2__wait_request__descriptor, "1=id:string 2=exec_id:string 1000=stands_for:bool" },
        { &containerd__task__v2__wait_response__descriptor, "1=exit_status:uint32 2=exited_at:Timestamp" },
        { &containerd__task__v2__stats_request__descriptor, "1=id:string" },
        { &containerd__task__v2__stats_response__descriptor, "1=stats:Any" },
        { &containerd__task__v2__connect_request__descriptor, "1=id:string" },
        { &containerd__task__v2__connect_response__descriptor,
          "1=shim_pid:uint32 2=task_pid:uint32 3=version:string" },
        { &containerd__task__v2__shutdown_request__descriptor, "1=id:string 2=now:bool" },

        { &containerd__events__task_io__descriptor,
          "1=stdin:string 2=stdout:string 3=stderr:string 4=terminal:bool" },
        { &containerd__events__task_create__descriptor,
          "1=container_id:string 2=bundle:string 3=rootfs:Mount[] 4=io:TaskIO 5=checkpoint:string 6=pid:uint32" },
        { &containerd__events__task_start__descriptor, "1=container_id:string 2=pid:uint32" },
        { &containerd__events__task_delete__descriptor,
          "1=container_id:string 2=pid:uint32 3=exit_status:uint32 4=exited_at:Timestamp 5=id:string" },
        { &containerd__events__task_exit__descriptor,
          "1=container_id:string 2=id:string 3=pid:uint32 4=exit_status:uint32 5=exited_at:Timestamp" },
        { &containerd__events__task_oom__descriptor, "1=container_id:string" },
        { &containerd__events__task_exec_added__descriptor, "1=container_id:string 2=exec_id:string" },
        { &containerd__events__task_exec_started__descriptor,
          "1=container_id:string 2=exec_id:string 3=pid:uint32" },
        { &containerd__events__task_paused__descriptor, "1=container_id:string" },
        { &containerd__events__task_resumed__descriptor, "1=container_id:string" },

        { &io__containerd__cgroups__v2__metrics__descriptor,
          "1=pids:PidsStat 2=cpu:CPUStat 4=memory:MemoryStat 6=io:IOStat 7=hugetlb:HugeTlbStat[] "
          "8=memory_events:MemoryEvents 9=network:NetworkStat[]" },
        { &io__containerd__cgroups__v2__pids_stat__descriptor, "1=current:uint64 2=limit:uint64" },
        { &io__containerd__cgroups__v2__cpustat__descriptor,
          "1=usage_usec:uint64 2=user_usec:uint64 3=system_usec:uint64 4=nr_periods:uint64 "
          "5=nr_throttled:uint64 6=throttled_usec:uint64" },
        { &io__containerd__cgroups__v2__memory_stat__descriptor,
          "1=anon:uint64 2=file:uint64 3=kernel_stack:uint64 4=slab:uint64 5=sock:uint64 6=shmem:uint64 "
          "7=file_mapped:uint64 8=file_dirty:uint64 9=file_writeback:uint64 10=anon_thp:uint64 "
          "11=inactive_anon:uint64 12=active_anon:uint64 13=inactive_file:uint64 14=active_file:uint64 "
          "15=unevictable:uint64 16=slab_reclaimable:uint64 17=slab_unreclaimable:uint64 18=pgfault:uint64 "
          "19=pgmajfault:uint64 20=workingset_refault:uint64 21=workingset_activate:uint64 "
          "22=workingset_nodereclaim:uint64 23=pgrefill:uint64 24=pgscan:uint64 25=pgsteal:uint64 "
          "26=pgactivate:uint64 27=pgdeactivate:uint64 28=pglazyfree:uint64 29=pglazyfreed:uint64 "
          "30=thp_fault_alloc:uint64 31=thp_collapse_alloc:uint64 32=usage:uint64 33=usage_limit:uint64 "
          "34=swap_usage:uint64 35=swap_limit:uint64 36=max_usage:uint64 37=swap_max_usage:uint64" },
        { &io__containerd__cgroups__v2__memory_events__descriptor,
          "1=low:uint64 2=high:uint64 3=max:uint64 4=oom:uint64 5=oom_kill:uint64" },
        { &io__containerd__cgroups__v2__iostat__descriptor, "1=usage:IOEntry[]" },
        { &io__containerd__cgroups__v2__ioentry__descriptor,
          "1=major:uint64 2=minor:uint64 3=rbytes:uint64 4=wbytes:uint64 5=rios:uint64 6=wios:uint64" },
        { &io__containerd__cgroups__v2__huge_tlb_stat__descriptor,
          "1=current:uint64 2=max:uint64 3=pagesize:string 4=failcnt:uint64" },
        { &io__containerd__cgroups__v2__network_stat__descriptor,
          "1=name:string 2=rx_bytes:uint64 3=rx_packets:uint64 4=rx_errors:uint64 5=rx_dropped:uint64 "
          "6=tx_bytes:uint64 7=tx_packets:uint64 8=tx_errors:uint64 9=tx_dropped:uint64" },

        { &io__containerd__cgroups__v1__metrics__descriptor,
          "1=hugetlb:HugetlbStat[] 2=pids:PidsStat 3=cpu:CPUStat 4=memory:MemoryStat 5=blkio:BlkIOStat "
          "7=network:NetworkStat[]" },
        { &io__containerd__cgroups__v1__hugetlb_stat__descriptor,
          "1=usage:uint64 2=max:uint64 3=failcnt:uint64 4=pagesize:string" },
        { &io__containerd__cgroups__v1__pids_stat__descriptor, "1=current:uint64 2=limit:uint64" },
        { &io__containerd__cgroups__v1__cpustat__descriptor, "1=usage:CPUUsage 2=throttling:Throttle" },
        { &io__containerd__cgroups__v1__cpuusage__descriptor,
          "1=total:uint64 2=kernel:uint64 3=user:uint64 4=per_cpu:uint64[]" },
        { &io__containerd__cgroups__v1__throttle__descriptor,
          "1=periods:uint64 2=throttled_periods:uint64 3=throttled_time:uint64" },
        { &io__containerd__cgroups__v1__memory_stat__descriptor,
          "1=cache:uint64 2=rss:uint64 3=rss_huge:uint64 4=mapped_file:uint64 5=dirty:uint64 "
          "6=writeback:uint64 9=pg_fault:uint64 10=pg_maj_fault:uint64 11=inactive_anon:uint64 "
          "12=active_anon:uint64 13=inactive_file:uint64 14=active_file:uint64 15=unevictable:uint64 "
          "18=total_cache:uint64 19=total_rss:uint64 20=total_rss_huge:uint64 21=total_mapped_file:uint64 "
          "22=total_dirty:uint64 23=total_writeback:uint64 26=total_pg_fault:uint64 "
          "27=total_pg_maj_fault:uint64 28=total_inactive_anon:uint64 29=total_active_anon:uint64 "
          "30=total_inactive_file:uint64 31=total_active_file:uint64 32=total_unevictable:uint64 "
          "33=usage:MemoryEntry 34=swap:MemoryEntry 35=kernel:MemoryEntry" },
        { &io__containerd__cgroups__v1__memory_entry__descriptor,
          "1=limit:uint64 2=usage:uint64 3=max:uint64 4=failcnt:uint64" },
        { &io__containerd__cgroups__v1__blk_iostat__descriptor,
          "1=io_service_bytes_recursive:BlkIOEntry[] 2=io_serviced_recursive:BlkIOEntry[]" },
        { &io__containerd__cgroups__v1__blk_ioentry__descriptor,
          "1=op:string 2=device:string 3=major:uint64 4=minor:uint64 5=value:uint64" },
        { &io__containerd__cgroups__v1__network_stat__descriptor,
          "1=name:string 2=rx_bytes:uint64 3=rx_packets:uint64 4=rx_errors:uint64 5=rx_dropped:uint64 "
          "6=tx_bytes:uint64 7=tx_packets:uint64 8=tx_errors:uint64 9=tx_dropped:uint64" },
};

static const EnumValues enums[] = {
        { &containerd__task__v2__status__descriptor,
          "0=UNKNOWN 1=CREATED 2=RUNNING 3=STOPPED 4=PAUSED 5=PAUSING" },
};

TEST(messages)
{
        check_message_fields(messages, ELEMENTSOF(messages));
}

TEST(enums)
{
        check_enum_values(enums, ELEMENTSOF(enums));
}

/* Full names are on the wire, as the type of an Any. */
TEST(names)
{
        ASSERT_STREQ(io__containerd__cgroups__v1__metrics__descriptor.name, "io.containerd.cgroups.v1.Metrics");
        ASSERT_STREQ(io__containerd__cgroups__v2__metrics__descriptor.name, "io.containerd.cgroups.v2.Metrics");
        ASSERT_STREQ(containerd__events__task_exit__descriptor.name, "containerd.events.TaskExit");
        ASSERT_STREQ(containerd__events__task_oom__descriptor.name, "containerd.events.TaskOOM");
}

#define S(text) ((char *) (uintptr_t) (text))

/* The bytes mean the message, and the message is written as those bytes. */
static void check_bytes(const ProtobufCMessage *message, const char *bytes, size_t n)
{
        _cleanup_pb_arena_ PbArena arena = {};
        uint8_t packed[512], again[512];
        ProtobufCMessage *copy;

        ASSERT_TRUE(protobuf_c_message_get_packed_size(message) <= sizeof(packed));
        ASSERT_EQ(protobuf_c_message_pack(message, packed), n);
        ASSERT_EQ(memcmp(packed, bytes, n), 0);

        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(message->descriptor, &arena, bytes, n, &copy));
        ASSERT_EQ(copy->n_unknown_fields, 0);
        ASSERT_EQ(protobuf_c_message_pack(copy, again), n);
        ASSERT_EQ(memcmp(again, bytes, n), 0);
}

#define CHECK_BYTES(message, bytes) check_bytes(&(message).base, bytes, sizeof(bytes) - 1)

TEST(golden_create)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
        Containerd__Task__V2__CreateTaskResponse a = CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;
        Containerd__Task__V2__Mount mount = CONTAINERD__TASK__V2__MOUNT__INIT, *mounts[] = { &mount };
        Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;
        char *mount_options[] = { S("ro") };

        mount.type = S("bind");
        mount.source = S("/a");
        mount.target = S("t");
        mount.options = mount_options;
        mount.n_options = 1;
        options.type_url = S("u");
        options.value = (ProtobufCBinaryData) { .len = 1, .data = (uint8_t *) S("v") };
        q.id = S("web");
        q.bundle = S("/b");
        q.rootfs = mounts;
        q.n_rootfs = 1;
        q.terminal = true;
        q.stdin = S("i");
        q.stdout = S("o");
        q.stderr = S("e");
        q.checkpoint = S("c");
        q.parent_checkpoint = S("p");
        q.options = &options;
        CHECK_BYTES(q, "\x0a\x03" "web" "\x12\x02" "/b"
                    "\x1a\x11" "\x0a\x04" "bind" "\x12\x02" "/a" "\x1a\x01" "t" "\x22\x02" "ro"
                    "\x20\x01" "\x2a\x01" "i" "\x32\x01" "o" "\x3a\x01" "e" "\x42\x01" "c" "\x4a\x01" "p"
                    "\x52\x06" "\x0a\x01" "u" "\x12\x01" "v");
        a.pid = 300;
        CHECK_BYTES(a, "\x08\xac\x02");
}

TEST(golden_processes)
{
        Containerd__Task__V2__StartRequest start = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        Containerd__Task__V2__StartResponse started = CONTAINERD__TASK__V2__START_RESPONSE__INIT;
        Containerd__Task__V2__DeleteRequest delete = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
        Containerd__Task__V2__DeleteResponse deleted = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
        Containerd__Task__V2__ExecProcessRequest exec = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
        Containerd__Task__V2__KillRequest kill = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        Containerd__Task__V2__WaitResponse waited = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;

        start.id = delete.id = exec.id = kill.id = wait.id = S("web");
        start.exec_id = delete.exec_id = exec.exec_id = kill.exec_id = wait.exec_id = S("e1");
        CHECK_BYTES(start, "\x0a\x03" "web" "\x12\x02" "e1");
        CHECK_BYTES(delete, "\x0a\x03" "web" "\x12\x02" "e1");
        CHECK_BYTES(wait, "\x0a\x03" "web" "\x12\x02" "e1");
        started.pid = 7;
        CHECK_BYTES(started, "\x08\x07");

        at.seconds = 1;
        at.nanos = 500000000;
        deleted.pid = 7;
        deleted.exit_status = 137;
        deleted.exited_at = &at;
        CHECK_BYTES(deleted, "\x08\x07" "\x10\x89\x01" "\x1a\x08" "\x08\x01" "\x10\x80\xca\xb5\xee\x01");
        waited.exit_status = 137;
        waited.exited_at = &at;
        CHECK_BYTES(waited, "\x08\x89\x01" "\x12\x08" "\x08\x01" "\x10\x80\xca\xb5\xee\x01");

        spec.type_url = S("types.containerd.io/opencontainers/runtime-spec/1/Process");
        spec.value = (ProtobufCBinaryData) { .len = 2, .data = (uint8_t *) S("{}") };
        exec.terminal = true;
        exec.stdin = S("i");
        exec.stdout = S("o");
        exec.stderr = S("e");
        exec.spec = &spec;
        CHECK_BYTES(exec, "\x0a\x03" "web" "\x12\x02" "e1" "\x18\x01" "\x22\x01" "i" "\x2a\x01" "o"
                    "\x32\x01" "e" "\x3a\x3f" "\x0a\x39"
                    "types.containerd.io/opencontainers/runtime-spec/1/Process" "\x12\x02" "{}");

        kill.signal = 9;
        kill.all = true;
        CHECK_BYTES(kill, "\x0a\x03" "web" "\x12\x02" "e1" "\x18\x09" "\x20\x01");
}

TEST(golden_state)
{
        Containerd__Task__V2__StateRequest q = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
        Containerd__Task__V2__StateResponse a = CONTAINERD__TASK__V2__STATE_RESPONSE__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        q.id = S("web");
        CHECK_BYTES(q, "\x0a\x03" "web");
        at.seconds = 1;
        a.id = S("web");
        a.bundle = S("/b");
        a.pid = 7;
        a.status = CONTAINERD__TASK__V2__STATUS__STOPPED;
        a.stdin = S("i");
        a.stdout = S("o");
        a.stderr = S("e");
        a.terminal = true;
        a.exit_status = 3;
        a.exited_at = &at;
        a.exec_id = S("e1");
        CHECK_BYTES(a, "\x0a\x03" "web" "\x12\x02" "/b" "\x18\x07" "\x20\x03" "\x2a\x01" "i" "\x32\x01" "o"
                    "\x3a\x01" "e" "\x40\x01" "\x48\x03" "\x52\x02" "\x08\x01" "\x5a\x02" "e1");
}

TEST(golden_io)
{
        Containerd__Task__V2__ResizePtyRequest resize = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
        Containerd__Task__V2__CloseIORequest close_io = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;

        resize.id = close_io.id = S("web");
        resize.exec_id = close_io.exec_id = S("e1");
        resize.width = 80;
        resize.height = 24;
        CHECK_BYTES(resize, "\x0a\x03" "web" "\x12\x02" "e1" "\x18\x50" "\x20\x18");
        close_io.stdin = true;
        CHECK_BYTES(close_io, "\x0a\x03" "web" "\x12\x02" "e1" "\x18\x01");
}

TEST(golden_container)
{
        Containerd__Task__V2__PauseRequest pause = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
        Containerd__Task__V2__ResumeRequest resume = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
        Containerd__Task__V2__PidsRequest pids = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;
        Containerd__Task__V2__PidsResponse list = CONTAINERD__TASK__V2__PIDS_RESPONSE__INIT;
        Containerd__Task__V2__ProcessInfo info = CONTAINERD__TASK__V2__PROCESS_INFO__INIT, *infos[] = { &info };
        Containerd__Task__V2__CheckpointTaskRequest checkpoint =
                CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
        Containerd__Task__V2__UpdateTaskRequest update = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
        Containerd__Task__V2__StringEntry entry = CONTAINERD__TASK__V2__STRING_ENTRY__INIT, *entries[] = { &entry };
        Containerd__Task__V2__StatsRequest stats = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
        Containerd__Task__V2__StatsResponse numbers = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

        pause.id = resume.id = pids.id = checkpoint.id = update.id = stats.id = S("web");
        CHECK_BYTES(pause, "\x0a\x03" "web");
        CHECK_BYTES(resume, "\x0a\x03" "web");
        CHECK_BYTES(pids, "\x0a\x03" "web");
        CHECK_BYTES(stats, "\x0a\x03" "web");

        any.type_url = S("u");
        any.value = (ProtobufCBinaryData) { .len = 1, .data = (uint8_t *) S("v") };
        info.pid = 7;
        info.info = &any;
        list.processes = infos;
        list.n_processes = 1;
        CHECK_BYTES(list, "\x0a\x0a" "\x08\x07" "\x12\x06" "\x0a\x01" "u" "\x12\x01" "v");
        checkpoint.path = S("/p");
        checkpoint.options = &any;
        CHECK_BYTES(checkpoint, "\x0a\x03" "web" "\x12\x02" "/p" "\x1a\x06" "\x0a\x01" "u" "\x12\x01" "v");
        entry.key = S("k");
        entry.value = S("v");
        update.resources = &any;
        update.annotations = entries;
        update.n_annotations = 1;
        CHECK_BYTES(update, "\x0a\x03" "web" "\x12\x06" "\x0a\x01" "u" "\x12\x01" "v"
                    "\x1a\x06" "\x0a\x01" "k" "\x12\x01" "v");
        numbers.stats = &any;
        CHECK_BYTES(numbers, "\x0a\x06" "\x0a\x01" "u" "\x12\x01" "v");
}

TEST(golden_service)
{
        Containerd__Task__V2__ConnectRequest q = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
        Containerd__Task__V2__ConnectResponse a = CONTAINERD__TASK__V2__CONNECT_RESPONSE__INIT;
        Containerd__Task__V2__ShutdownRequest shutdown = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

        q.id = shutdown.id = S("web");
        CHECK_BYTES(q, "\x0a\x03" "web");
        a.shim_pid = 5;
        a.task_pid = 7;
        a.version = S("1");
        CHECK_BYTES(a, "\x08\x05" "\x10\x07" "\x1a\x01" "1");
        shutdown.now = true;
        CHECK_BYTES(shutdown, "\x0a\x03" "web" "\x10\x01");
}

TEST(golden_events)
{
        Containerd__Events__TaskExit e = CONTAINERD__EVENTS__TASK_EXIT__INIT;
        Containerd__Events__TaskCreate c = CONTAINERD__EVENTS__TASK_CREATE__INIT;
        Containerd__Events__TaskIO io = CONTAINERD__EVENTS__TASK_IO__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        at.seconds = 1;
        e.container_id = c.container_id = S("web");
        e.id = S("e1");
        e.pid = c.pid = 7;
        e.exit_status = 3;
        e.exited_at = &at;
        CHECK_BYTES(e, "\x0a\x03" "web" "\x12\x02" "e1" "\x18\x07" "\x20\x03" "\x2a\x02" "\x08\x01");
        io.stdout = S("o");
        io.terminal = true;
        c.bundle = S("/b");
        c.io = &io;
        CHECK_BYTES(c, "\x0a\x03" "web" "\x12\x02" "/b" "\x22\x05" "\x12\x01" "o" "\x20\x01" "\x30\x07");
}

DEFINE_TEST_MAIN
