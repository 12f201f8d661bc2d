/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks, checked: see container-hooks.h. The configuration is the host's. */

#include "agent/container-hooks.h"

#include "basic/root-path.h"
#include "agent/json-text.h"
#include "basic/error.h"
#include "basic/limits.h"

/* As in Kata's agent, where the configuration names none. */
#define HOOK_TIMEOUT_SEC 10U
#define BUNDLE_PARENT "/run/kata-containers"

static const char *const kind_names[_HOOK_KIND_MAX] = {
        [HOOK_PRESTART] = "prestart",
        [HOOK_CREATE_RUNTIME] = "createRuntime",
        [HOOK_CREATE_CONTAINER] = "createContainer",
        [HOOK_START_CONTAINER] = "startContainer",
        [HOOK_POSTSTART] = "poststart",
        [HOOK_POSTSTOP] = "poststop",
};

const char *hook_kind_to_string(HookKind kind)
{
        return kind_names[kind];
}

void hook_set_done(HookSet *set)
{
        for (size_t kind = 0; kind < _HOOK_KIND_MAX; kind++) {
                for (size_t i = 0; i < set->n[kind]; i++)
                        hook_done(&set->hooks[kind][i]);
                free(set->hooks[kind]);
        }
        for (size_t i = 0; i < set->n_annotations; i++) {
                free(set->annotations[i].key);
                free(set->annotations[i].value);
        }
        free(set->annotations);
        free(set->guest_dir);
        free(set->id);
        free(set->bundle);
        *set = (HookSet) {};
}

static int copy_strings(Strv *strv, char *const *strings, size_t n, size_t max)
{
        if (n > max)
                return -E2BIG;

        for (size_t i = 0; i < n; i++) {
                int r = strlen(strings[i]) >= SPEC_STRING_MAX ? -E2BIG : strv_add(strv, strings[i]);

                if (r < 0)
                        return r;
        }

        return 0;
}

static int parse_hook(Hook *hook, const Grpc__Hook *in, const char *kind, char **reterr_message)
{
        int r;

        r = path_normalize(in->path, &hook->path);
        if (r < 0)
                return error_setf(reterr_message, r, "%s hook: '%.200s' is not a valid absolute path", kind,
                                  strempty(in->path));
        if (in->timeout < 0 || in->timeout > HOOK_TIMEOUT_MAX_SEC)
                return error_setf(reterr_message, -ERANGE, "%s hook '%s': timeout is not 0 to %u seconds", kind,
                                  hook->path, HOOK_TIMEOUT_MAX_SEC);
        hook->timeout_sec = in->timeout > 0 ? (unsigned) in->timeout : HOOK_TIMEOUT_SEC;

        r = copy_strings(&hook->args, in->args, in->n_args, CONTAINER_ARGS_MAX);
        if (r >= 0 && hook->args.n == 0)
                r = strv_add(&hook->args, hook->path);
        if (r >= 0)
                r = copy_strings(&hook->env, in->env, in->n_env, SPEC_ENV_MAX);
        if (r < 0)
                return error_setf(reterr_message, r, "%s hook '%s': arguments or environment: %s", kind,
                                  hook->path, strerror(-r));
        return 0;
}

static int parse_kind(HookSet *set, HookKind kind, Grpc__Hook *const *in, size_t n, char **reterr_message)
{
        if (n == 0)
                return 0;
        if (n > HOOKS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u %s hooks", HOOKS_MAX, kind_names[kind]);

        set->hooks[kind] = new0(Hook, n);
        if (!set->hooks[kind])
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r;

                set->n[kind]++;
                r = parse_hook(&set->hooks[kind][i], in[i], kind_names[kind], reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int parse_hooks(HookSet *set, const Grpc__Hooks *h, char **reterr_message)
{
        int r;

        r = parse_kind(set, HOOK_PRESTART, h->prestart, h->n_prestart, reterr_message);
        if (r >= 0)
                r = parse_kind(set, HOOK_CREATE_RUNTIME, h->createruntime, h->n_createruntime, reterr_message);
        if (r >= 0)
                r = parse_kind(set, HOOK_CREATE_CONTAINER, h->createcontainer, h->n_createcontainer,
                               reterr_message);
        if (r >= 0)
                r = parse_kind(set, HOOK_START_CONTAINER, h->startcontainer, h->n_startcontainer,
                               reterr_message);
        if (r >= 0)
                r = parse_kind(set, HOOK_POSTSTART, h->poststart, h->n_poststart, reterr_message);
        if (r >= 0)
                r = parse_kind(set, HOOK_POSTSTOP, h->poststop, h->n_poststop, reterr_message);
        return r;
}

static int copy_annotations(HookSet *set, const Grpc__Spec *spec, char **reterr_message)
{
        if (spec->n_annotations > ANNOTATIONS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u annotations", ANNOTATIONS_MAX);

        set->annotations = new0(Grpc__StringEntry, spec->n_annotations + 1);
        if (!set->annotations)
                return -ENOMEM;
        for (size_t i = 0; i < spec->n_annotations; i++) {
                Grpc__StringEntry *entry = &set->annotations[i];

                set->n_annotations++;
                entry->key = strdup(strempty(spec->annotations[i]->key));
                entry->value = strdup(strempty(spec->annotations[i]->value));
                if (!entry->key || !entry->value)
                        return -ENOMEM;
        }

        return 0;
}

static bool is_empty(const HookSet *set)
{
        for (size_t kind = 0; kind < _HOOK_KIND_MAX; kind++)
                if (set->n[kind] > 0)
                        return false;

        return !set->guest_dir;
}

int hook_set_parse(HookSet *ret, const char *id, const Grpc__Spec *spec, const char *guest_dir,
                   char **reterr_message)
{
        _cleanup_(hook_set_done) HookSet set = {};
        _cleanup_free_ char *state = NULL;
        size_t n;
        int r = 0;

        if (spec->hooks)
                r = parse_hooks(&set, spec->hooks, reterr_message);
        if (r >= 0 && !isempty(guest_dir))
                r = path_normalize(guest_dir, &set.guest_dir);
        if (r < 0 || is_empty(&set))
                return r;

        set.id = strdup(id);
        if (!set.id || asprintf(&set.bundle, BUNDLE_PARENT "/%s", id) < 0)
                return -ENOMEM;
        r = copy_annotations(&set, spec, reterr_message);
        if (r < 0)
                return r;
        /* Better now than when the container runs. */
        r = hook_set_state(&set, "creating", INT32_MAX, &state, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "the annotations do not fit into the state that hooks "
                                  "read (%zu bytes)", HOOK_STATE_MAX);

        *ret = set;
        set = (HookSet) {};
        return 0;
}

bool hook_set_has(const HookSet *set, HookKind kind)
{
        return set->n[kind] > 0 || (set->guest_dir && kind != HOOK_START_CONTAINER);
}

int hook_set_state(const HookSet *set, const char *status, pid_t pid, char **ret, size_t *ret_n)
{
        _cleanup_free_ char *text = malloc(HOOK_STATE_MAX);
        JsonText json;
        int r;

        if (!text)
                return -ENOMEM;

        json_begin(&json, text, HOOK_STATE_MAX);
        json_add_string(&json, "ociVersion", "1.0.2");
        json_add_string(&json, "id", set->id);
        json_add_string(&json, "status", status);
        if (pid > 0)
                json_add_u64(&json, "pid", (uint64_t) pid);
        json_add_string(&json, "bundle", set->bundle);
        if (set->n_annotations > 0) {
                json_begin_object(&json, "annotations");
                for (size_t i = 0; i < set->n_annotations; i++)
                        json_add_entry(&json, set->annotations[i].key, set->annotations[i].value);
                json_end_object(&json);
        }
        r = json_end(&json, ret_n);
        if (r < 0)
                return r == -ENOBUFS ? -E2BIG : r;

        *ret = TAKE_PTR(text);
        return 0;
}
