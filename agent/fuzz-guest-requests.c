/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about network and files, and texts that go with them, checked and planned; nothing is done. The
 * first byte says what the others are.
 */

#include "agent/copy-file.h"
#include "agent/kernel-modules.h"
#include "agent/mountinfo.h"
#include "agent/net-plan.h"
#include "agent/pci-path.h"
#include "agent/storage.h"
#include "agent/termination-log.h"
#include "basic/limits.h"
#include "proto/pb-arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static NetlinkRequest request;

static void try_interface(PbArena *arena, const uint8_t *data, size_t n)
{
        _cleanup_(interface_plan_done) InterfacePlan plan = {};
        _cleanup_free_ char *message = NULL;
        Grpc__UpdateInterfaceRequest *q;

        if (pb_unpack(&grpc__update_interface_request__descriptor, arena, data, n, &q) < 0 || !q->interface)
                return;
        if (interface_plan(q->interface, &plan, &message) < 0) {
                assert(message);
                return;
        }
        rtnl_build_set_link(&request, 1, plan.name, plan.mtu, 0, 0);
        assert(!request.full);
        for (size_t i = 0; i < plan.n_addresses; i++) {
                assert(plan.addresses[i].prefix <= rtnl_ip_size(plan.addresses[i].ip.family) * 8);
                rtnl_build_add_address(&request, &plan.addresses[i]);
                assert(!request.full);
        }
}

static void try_routes(PbArena *arena, const uint8_t *data, size_t n)
{
        _cleanup_free_ RoutePlan *plans = NULL;
        _cleanup_free_ char *message = NULL;
        Grpc__UpdateRoutesRequest *q;

        if (pb_unpack(&grpc__update_routes_request__descriptor, arena, data, n, &q) < 0 || !q->routes)
                return;
        if (routes_plan(q->routes->routes, q->routes->n_routes, &plans, &message) < 0) {
                assert(message);
                return;
        }
        for (size_t i = 0; i < q->routes->n_routes; i++) {
                const RtnlRoute *route = &plans[i].route;

                assert(route->dest.family == 0 ? route->prefix == 0 : route->dest.family == route->family);
                assert(route->source.family == 0 || route->source.family == route->family);
                rtnl_build_add_route(&request, route);
                assert(!request.full);
        }
}

static void try_neighbors(PbArena *arena, const uint8_t *data, size_t n)
{
        _cleanup_free_ NeighborPlan *plans = NULL;
        _cleanup_free_ char *message = NULL;
        Grpc__AddARPNeighborsRequest *q;

        if (pb_unpack(&grpc__add_arpneighbors_request__descriptor, arena, data, n, &q) < 0 || !q->neighbors)
                return;
        if (neighbors_plan(q->neighbors->arpneighbors, q->neighbors->n_arpneighbors, &plans, &message) < 0) {
                assert(message);
                return;
        }
        for (size_t i = 0; i < q->neighbors->n_arpneighbors; i++) {
                rtnl_build_add_neighbor(&request, &plans[i].neighbor);
                assert(!request.full);
        }
}

static void try_copy(PbArena *arena, const uint8_t *data, size_t n)
{
        _cleanup_(copy_plan_done) CopyPlan plan = {};
        _cleanup_free_ char *message = NULL;
        Grpc__CopyFileRequest *q;

        if (pb_unpack(&grpc__copy_file_request__descriptor, arena, data, n, &q) < 0)
                return;
        if (copy_plan(q, COPY_ROOT, &plan, &message) < 0) {
                assert(message);
                return;
        }
        assert(*plan.name && !strchr(plan.name, '/') && strlen(plan.temporary) <= 255);
        assert(plan.parent[0] != '/' && !strstr(plan.parent, "//") && strcmp(plan.name, "..") != 0);
        assert(strcmp(plan.parent, "..") != 0 && !startswith(plan.parent, "../"));
        assert(plan.offset + plan.n <= plan.size || plan.type != 0100000);
}

static void try_sandbox(PbArena *arena, const uint8_t *data, size_t n)
{
        _cleanup_free_ char *message = NULL;
        Grpc__CreateSandboxRequest *q;

        if (pb_unpack(&grpc__create_sandbox_request__descriptor, arena, data, n, &q) < 0)
                return;
        if (kernel_modules_check(q->kernel_modules, q->n_kernel_modules, &message) < 0)
                assert(message);
        for (size_t i = 0; i < MIN(q->n_storages, (size_t) STORAGES_MAX); i++) {
                _cleanup_(storage_plan_done) StoragePlan plan = {};
                _cleanup_free_ char *text = NULL;

                if (storage_plan(q->storages[i], &plan, &text) < 0) {
                        assert(text);
                        continue;
                }
                assert(startswith(plan.target, STORAGE_ROOT "/") && !strstr(plan.target, "/.."));
                assert(plan.kind == STORAGE_DIRECTORY || plan.fstype);
                assert(plan.kind != STORAGE_OVERLAY || plan.lower.n > 0);
                assert(!plan.upper == !plan.work && (!plan.upper || startswith(plan.upper, STORAGE_ROOT "/")));
                assert(plan.n_pages == 0 || plan.page_size > 0);
                assert(plan.kind != STORAGE_MOUNT || plan.source || plan.device.kind != 0);
        }
}

static void try_index(const char *text)
{
        _cleanup_(strv_done) Strv paths = {};

        if (kernel_modules_find(text, "dm-mod", &paths) < 0)
                return;
        assert(paths.n > 0 && paths.n <= MODULES_MAX);
        for (size_t i = 0; i < paths.n; i++)
                assert(paths.v[i][0] != '/' && !strstr(paths.v[i], ".."));
}

static void try_text(uint8_t kind, const uint8_t *data, size_t n)
{
        _cleanup_free_ char *text = strndup((const char *) data, n);
        const char *p = text;
        PciPath path;

        if (!text)
                return;
        if (kind == 4) {
                char buf[PCI_PATH_HOPS_MAX * 5 + 1];

                if (pci_path_parse(text, &path) >= 0)
                        assert(path.n > 0 && path.n <= PCI_PATH_HOPS_MAX &&
                               strlen(pci_path_format(&path, buf)) < sizeof(buf));
        } else if (kind == 5) {
                char *s;

                while (mountinfo_next(&p, &s) > 0) {
                        assert(s[0] == '/');
                        free(s);
                }
        } else if (kind == 8)
                try_index(text);
        else {
                _cleanup_free_ char *out = termination_log_text((const char *) data, n);

                assert(!out || utf8_is_valid(out, strlen(out)));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_pb_arena_ PbArena arena;

        pb_arena_init(&arena, 0);
        if (size == 0 || size > KIB(64))
                return 0;
        switch (data[0]) {
        case 0:
                try_interface(&arena, data + 1, size - 1);
                break;
        case 1:
                try_routes(&arena, data + 1, size - 1);
                break;
        case 2:
                try_neighbors(&arena, data + 1, size - 1);
                break;
        case 3:
                try_copy(&arena, data + 1, size - 1);
                break;
        case 7:
                try_sandbox(&arena, data + 1, size - 1);
                break;
        default:
                try_text(data[0], data + 1, size - 1);
        }
        return 0;
}
