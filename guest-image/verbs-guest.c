/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands for the installed versions: see verbs-guest.h. Each holds the lock of slots.h for as long as it
 * changes something, and clears away first what one that was killed has left.
 */

#include "guest-image/verbs-guest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "guest-image/boot-test.h"
#include "guest-image/pair.h"
#include "guest-image/slots.h"
#include "guest-image/source.h"
#include "guest-image/update-event.h"
#include "guest-image/update.h"

static void rm_rf_free(char **path)
{
        if (*path)
                (void) rm_rf(*path);
        free(*path);
}

static int fail(int error, const char *what, const char *message)
{
        log_error("%s: %s", what, error_text(message, error));
        return 1;
}

static int enter(Slots *slots, char **reterr_message)
{
        int r;

        slots_init(slots, &slot_places_default);
        if (geteuid() != 0)
                return error_setf(reterr_message, EPERM, "only root can change what sandboxes boot");

        r = slots_lock(slots, reterr_message);
        if (r >= 0)
                r = boot_test_clear(reterr_message);
        if (r >= 0)
                r = slots_clean(slots, reterr_message);
        return r;
}

/* The directory whose files sandboxes boot now. */
static int current_dir(const Slots *slots, char **ret, char **reterr_message)
{
        _cleanup_free_ char *current = NULL;
        int r = slots_current(slots, &current, reterr_message);

        if (r < 0)
                return r;
        *ret = slots_path(slots, current);
        return *ret ? 0 : -ENOMEM;
}

/* --- install --- */

/* The pair becomes .new-VERSION, checked. */
static int bring_in(Slots *slots, const char *dir, Pair *ret, char **reterr_message)
{
        _cleanup_(pair_done) Pair outside = {};
        _cleanup_free_ char *to = NULL;
        int r;

        r = pair_read(dir, &outside, reterr_message);
        if (r < 0)
                return r;
        to = slots_new_path(slots, outside.version);
        if (!to)
                return -ENOMEM;
        r = pair_copy(&outside, to, reterr_message);
        /* Read once more: what counts is what has arrived. */
        if (r >= 0)
                r = pair_read(to, ret, reterr_message);
        if (r >= 0 && !streq(ret->version, outside.version))
                r = error_setf(reterr_message, ESTALE, "'%s' changed while it was copied", dir);
        if (r >= 0)
                r = slots_check_name(ret->version, reterr_message);
        return r < 0 ? r : pair_verify(ret, reterr_message);
}

static int switch_to(Slots *slots, UpdateEvent event, const char *version, const char *release,
                     char **reterr_message)
{
        _cleanup_free_ char *before = NULL;
        int r;

        r = slots_current(slots, &before, reterr_message);
        if (r >= 0)
                r = slots_switch(slots, version, reterr_message);
        if (r >= 0)
                update_event(event, version, before, "New sandboxes boot guest %s (Linux %s), it was %s",
                             version, release, before);
        return r;
}

static bool same_content(const Slots *slots, const char *version, const char *wanted)
{
        _cleanup_free_ char *path = slots_path(slots, version);
        _cleanup_(pair_done) Pair pair = {};

        if (streq(version, wanted))
                return true;
        /* The shipped directory does not have the name of its content. */
        return path && streq(version, SLOT_SHIPPED) && pair_read(path, &pair, NULL) >= 0 &&
               streq(pair.version, wanted);
}

/* automatic: nobody asked for this very pair, so one that was rolled back stays where it is. */
static int install(Slots *slots, const char *dir, bool automatic, char **reterr_message)
{
        _cleanup_free_ char *current = NULL, *rejected = NULL, *reason = NULL;
        _cleanup_(pair_done) Pair pair = {};
        int r;

        r = boot_test_possible(reterr_message);
        if (r >= 0)
                r = slots_current(slots, &current, reterr_message);
        if (r >= 0)
                r = slots_rejected(slots, &rejected, reterr_message);
        if (r >= 0)
                r = pair_read(dir, &pair, reterr_message);
        if (r < 0)
                return r;
        if (automatic && rejected && same_content(slots, rejected, pair.version)) {
                log_notice("Guest %s was rolled back and is not installed again: "
                           "'kata-image rollback %s' brings it back", pair.version, pair.version);
                return 0;
        }
        if (same_content(slots, current, pair.version)) {
                log_info("Guest %s is in use already", pair.version);
                return 0;
        }

        if (!slots_has(slots, pair.version)) {
                pair_done(&pair);
                r = bring_in(slots, dir, &pair, reterr_message);
        } else {
                _cleanup_free_ char *path = slots_path(slots, pair.version);

                pair_done(&pair);
                r = path ? pair_read(path, &pair, reterr_message) : -ENOMEM;
                if (r >= 0)
                        r = pair_verify(&pair, reterr_message);
        }
        if (r < 0) {
                (void) slots_clean(slots, NULL);
                return r;
        }

        log_info("Booting guest %s", pair.version);
        r = boot_test_run(pair.dir, pair.kernel.release, &reason);
        if (r < 0) {
                update_event(EVENT_GUEST_TEST_FAILED, pair.version, current,
                             "Guest %s failed its boot test, %s stays in use: %s", pair.version, current,
                             error_text(reason, r));
                (void) slots_clean(slots, NULL);
                return error_setf(reterr_message, r, "%s failed its boot test", pair.version);
        }

        if (!slots_has(slots, pair.version))
                r = slots_publish(slots, pair.version, reterr_message);
        return r < 0 ? r : switch_to(slots, EVENT_GUEST_SWITCHED, pair.version, pair.kernel.release,
                                     reterr_message);
}

static int verb_install(const GuestOptions *options, char **args)
{
        _cleanup_(slots_done) Slots slots = SLOTS_NULL;
        _cleanup_free_ char *message = NULL;
        int r;

        r = enter(&slots, &message);
        if (r >= 0)
                r = install(&slots, args[0], false, &message);
        return r < 0 ? fail(r, "Guest not installed", message) : 0;
}

/* --- kernel-status, update --- */

static int get_status(const GuestOptions *options, const char *guest_dir, const char *cache,
                      KernelStatus *ret, char **reterr_message)
{
        _cleanup_free_ char *patches = NULL;

        if (options->force)
                return kernel_status_force(cache, ret, reterr_message);
        if (asprintf(&patches, "%s/patches", options->kernel_dir) < 0) {
                patches = NULL;
                return -ENOMEM;
        }
        return kernel_status_get(guest_dir, patches, cache, ret, reterr_message);
}

static int verb_kernel_status(const GuestOptions *options, char **args)
{
        _cleanup_(kernel_status_done) KernelStatus status = {};
        _cleanup_free_ char *message = NULL, *guest = NULL, *cache = NULL;
        Slots slots;
        int r;

        slots_init(&slots, &slot_places_default);
        r = current_dir(&slots, &guest, &message);
        if (r >= 0)
                r = cache_dir(&cache, &message);
        if (r >= 0)
                r = get_status(options, guest, cache, &status, &message);
        if (r < 0)
                return fail(r, "Kernel not compared", message);

        puts(status.text);
        return fflush(stdout) == 0 ? kernel_state_to_exit_status(status.state) : 1;
}

static int update(const GuestOptions *options, Slots *slots, KernelState *ret_state,
                  char **reterr_message)
{
        _cleanup_(kernel_status_done) KernelStatus status = {};
        _cleanup_free_ char *guest = NULL, *cache = NULL, *out = NULL;
        _cleanup_(rm_rf_free) char *work = NULL;
        int r;

        *ret_state = KERNEL_CURRENT;
        r = current_dir(slots, &guest, reterr_message);
        if (r >= 0)
                r = cache_dir(&cache, reterr_message);
        if (r >= 0)
                r = get_status(options, guest, cache, &status, reterr_message);
        if (r < 0)
                return r;

        log_info("Guest kernel: %s", status.text);
        *ret_state = status.state;
        if (status.state == KERNEL_CONFLICT)
                return error_setf(reterr_message, ENOTSUP, "%s", status.text);

        if (options->output_dir)
                out = strdup(options->output_dir);
        else {
                r = update_work_dir(cache, &work, reterr_message);
                if (r < 0)
                        return r;
                if (asprintf(&out, "%s/pair", work) < 0)
                        out = NULL;
        }
        if (!out)
                return -ENOMEM;

        const UpdateOptions build = {
                .kernel_dir = options->kernel_dir,
                .guest_dir = guest,
                .cache = cache,
                .output_dir = out,
                .agent = options->agent,
                .root = options->root,
        };
        r = update_build(&build, &status, reterr_message);
        return r < 0 || options->output_dir ? r : install(slots, out, true, reterr_message);
}

static int verb_update(const GuestOptions *options, char **args)
{
        _cleanup_(slots_done) Slots slots = SLOTS_NULL;
        _cleanup_free_ char *message = NULL;
        KernelState state = KERNEL_CURRENT;
        int r = 0;

        if (options->output_dir)
                slots_init(&slots, &slot_places_default);
        else if (geteuid() != 0)
                r = error_setf(&message, EPERM, "only root can change what sandboxes boot; with "
                               "--output-dir=DIR the new pair is built and not installed");
        else
                r = boot_test_possible(&message);
        if (r >= 0 && !options->output_dir)
                r = enter(&slots, &message);
        if (r >= 0)
                r = update(options, &slots, &state, &message);
        if (r >= 0)
                return 0;

        (void) fail(r, "Guest not updated", message);
        return state == KERNEL_CONFLICT ? kernel_state_to_exit_status(state) : 1;
}

/* --- list, rollback, gc --- */

static int print_version(const Slots *slots, const char *version, const char *current,
                         const char *previous, char **reterr_message)
{
        _cleanup_(kernel_info_done) KernelInfo info = {};
        _cleanup_free_ char *path = slots_path(slots, version), *used = NULL;
        _cleanup_(strv_done) Strv users = {};
        int r;

        if (!path)
                return -ENOMEM;
        r = slots_users(slots, version, &users, reterr_message);
        if (r < 0)
                return r;
        used = strv_join(&users, " ");
        if (!used)
                return -ENOMEM;
        /* An installed version has it; a host without a shipped pair is no error. */
        r = kernel_info_read(path, &info, NULL);

        printf("%-40s %-24s %-9s%s%s\n", version, r < 0 ? "-" : info.release,
               streq(version, current) ? "current" :
               previous && streq(version, previous) ? "previous" : "-",
               *used ? " " : "", used);
        return 0;
}

static int verb_list(const GuestOptions *options, char **args)
{
        _cleanup_free_ char *message = NULL, *current = NULL, *previous = NULL;
        _cleanup_(strv_done) Strv versions = {};
        char *version;
        Slots slots;
        int r;

        slots_init(&slots, &slot_places_default);
        r = slots_current(&slots, &current, &message);
        if (r >= 0)
                r = slots_previous(&slots, &previous, &message);
        if (r >= 0)
                r = slots_list(&slots, &versions, &message);
        if (r >= 0)
                r = strv_add(&versions, SLOT_SHIPPED);
        if (r >= 0)
                printf("%-40s %-24s %-9s SANDBOXES\n", "VERSION", "KERNEL", "STATE");
        STRV_FOREACH(version, &versions)
                if (r >= 0)
                        r = print_version(&slots, version, current, previous, &message);

        return r < 0 ? fail(r, "Versions not listed", message) : fflush(stdout) == 0 ? 0 : 1;
}

static int rollback(Slots *slots, const char *wanted, char **reterr_message)
{
        _cleanup_free_ char *current = NULL, *previous = NULL, *path = NULL;
        _cleanup_(kernel_info_done) KernelInfo info = {};
        int r;

        r = slots_current(slots, &current, reterr_message);
        if (r >= 0)
                r = slots_previous(slots, &previous, reterr_message);
        if (r < 0)
                return r;

        if (!wanted)
                wanted = previous;
        if (!wanted || (wanted == previous && streq(previous, current)))
                return error_setf(reterr_message, ENOENT, "there is no previous version");
        if (streq(wanted, current)) {
                log_info("Guest %s is in use already", wanted);
                return 0;
        }
        if (!streq(wanted, SLOT_SHIPPED)) {
                r = slots_check_name(wanted, reterr_message);
                if (r < 0)
                        return error_prefixf(reterr_message, r, "'%s'", wanted);
        }

        path = slots_path(slots, wanted);
        if (!path)
                return -ENOMEM;
        if (!slots_has(slots, wanted))
                return error_setf(reterr_message, ENOENT, "'%s' does not exist; see kata-image list",
                                  path);
        r = kernel_info_read(path, &info, reterr_message);
        if (r >= 0)
                r = slots_reject_current(slots, reterr_message);
        return r < 0 ? r : switch_to(slots, EVENT_GUEST_ROLLED_BACK, wanted, info.release, reterr_message);
}

static int verb_rollback(const GuestOptions *options, char **args)
{
        _cleanup_(slots_done) Slots slots = SLOTS_NULL;
        _cleanup_free_ char *message = NULL;
        int r;

        r = enter(&slots, &message);
        if (r >= 0)
                r = rollback(&slots, args[0], &message);
        return r < 0 ? fail(r, "Guest not rolled back", message) : 0;
}

static int verb_gc(const GuestOptions *options, char **args)
{
        _cleanup_(slots_done) Slots slots = SLOTS_NULL;
        _cleanup_(strv_done) Strv removed = {};
        _cleanup_free_ char *message = NULL;
        char *version;
        int r;

        r = enter(&slots, &message);
        if (r >= 0)
                r = slots_collect(&slots, &removed, &message);
        STRV_FOREACH(version, &removed)
                log_info("Removed guest %s", version);
        return r < 0 ? fail(r, "Unused versions not removed", message) : 0;
}

static const GuestVerb verbs[] = {
        { "kernel-status", 0, 0, "no arguments", verb_kernel_status },
        { "update", 0, 0, "no arguments", verb_update },
        { "install", 1, 1, "one directory", verb_install },
        { "list", 0, 0, "no arguments", verb_list },
        { "rollback", 0, 1, "at most one version", verb_rollback },
        { "gc", 0, 0, "no arguments", verb_gc },
};

const GuestVerb *guest_verb_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        return &verbs[i];

        return NULL;
}
