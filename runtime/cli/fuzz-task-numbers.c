/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a task of either kind → numbers → a line of events: bounded, whatever is in them. */

#include "runtime/cli/stats-event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const types[] = { "io.containerd.cgroups.v1.Metrics", "io.containerd.cgroups.v2.Metrics" };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
                _cleanup_pb_arena_ PbArena arena;
                TaskNumbers numbers;
                json_object *event;

                pb_arena_init(&arena, 0);
                any.type_url = (char *) (uintptr_t) types[i];
                any.value.data = (uint8_t *) (uintptr_t) data;
                any.value.len = size;
                if (task_numbers_parse(&any, &arena, &numbers) < 0)
                        continue;
                event = stats_event_new("web", &numbers);
                assert(json_object_to_json_string(event));
                json_object_put(event);
        }

        return 0;
}
