/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-in for the container engine in tests of what is around it: containers without processes, that the
 * test drives. Commands are the first word of the spec's process.args: "run" starts, prints "out\n" and
 * "err\n" and stays; "missing" fails to start; "refused" is refused at once.
 */

#include "agent/fake-container.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "agent/shared-mounts.h"
#include "basic/error.h"
#include "basic/fd.h"

struct Container {
        Loop *loop;
        char *id, *command;
        ContainerState state;
        ContainerHandlers handlers;
        ContainerIo io;
        LoopSource *timer;
        bool removing;
        Cgroup cgroup;
};

struct ContainerUpdate {
        char path[64];
        int64_t limit;
        bool devices;
};

Container *fake_last;
char fake_cgroup[64];
char fake_domainname[65];
char fake_unified[64];
unsigned fake_device_updates, fake_device_undos;

static void destroy(Container *c)
{
        loop_source_free(c->timer);
        c->io.stdin_fd = safe_close(c->io.stdin_fd);
        c->io.stdout_fd = safe_close(c->io.stdout_fd);
        c->io.stderr_fd = safe_close(c->io.stderr_fd);
        safe_close(c->cgroup.fd);
        free(c->id);
        free(c->command);
        free(c);
}

void fake_forget(void)
{
        if (fake_last)
                destroy(TAKE_PTR(fake_last));
}

static void advance(LoopSource *source, void *userdata)
{
        Container *c = userdata;

        if (c->removing) {
                c->handlers.on_removed(c, 0, NULL, c->handlers.userdata);
                if (fake_last == c)
                        fake_last = NULL;
                return destroy(c);
        }
        if (c->state == CONTAINER_CREATING) {
                c->state = CONTAINER_CREATED;
                return c->handlers.on_created(c, 0, NULL, c->handlers.userdata);
        }
        if (c->state == CONTAINER_STARTING) {
                if (streq(c->command, "missing")) {
                        c->state = CONTAINER_STOPPED;
                        return c->handlers.on_started(c, -ENOENT, "missing: not found",
                                                      c->handlers.userdata);
                }
                c->state = CONTAINER_RUNNING;
                fake_print(c, "out\n", "err\n");
                c->handlers.on_started(c, 0, NULL, c->handlers.userdata);
        }
}

static int keep(int fd)
{
        return fd < 0 ? -EBADF : dup(fd);
}

static void close_io(Container *c)
{
        c->io.stdin_fd = safe_close(c->io.stdin_fd);
        c->io.stdout_fd = safe_close(c->io.stdout_fd);
        c->io.stderr_fd = safe_close(c->io.stderr_fd);
}

int container_create(Container **ret, Loop *loop, const ContainerPlace *place, const char *id,
                     const Grpc__Spec *spec, const ContainerIo *io,
                     const ContainerHandlers *handlers, char **reterr_message)
{
        Container *c;

        if (!spec->process || spec->process->n_args == 0)
                return error_setf(reterr_message, EINVAL, "no command");
        if (streq(spec->process->args[0], "refused"))
                return error_setf(reterr_message, EOPNOTSUPP, "frobnication is not supported");

        c = new0(Container, 1);
        *c = (Container) {
                .loop = loop, .id = strdup(id), .command = strdup(spec->process->args[0]),
                .handlers = *handlers,
                .cgroup = CGROUP_NULL,
                .io = { keep(io->stdin_fd), keep(io->stdout_fd), keep(io->stderr_fd) },
        };
        if (place->extension)
                snprintf(fake_domainname, sizeof(fake_domainname), "%s", place->extension->domainname);
        if (fake_cgroup[0])
                c->cgroup.fd = open(fake_cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void) loop_add_time(loop, &c->timer, 0, advance, c);
        fake_last = *ret = c;
        return 0;
}

int container_start(Container *c, char **reterr_message)
{
        if (c->state != CONTAINER_CREATED)
                return error_setf(reterr_message, EBUSY, "not created");

        c->state = CONTAINER_STARTING;
        return loop_source_set_time(c->timer, 0);
}

int container_signal(Container *c, int sig, bool all, char **reterr_message)
{
        if (c->state != CONTAINER_RUNNING)
                return -ESRCH;
        fake_exit(c, 128 + sig);
        return 0;
}

int container_remove(Container *c, char **reterr_message)
{
        c->removing = true;
        c->state = CONTAINER_STOPPED;
        close_io(c);
        return loop_source_set_time(c->timer, 0);
}

const char *container_id(const Container *c)
{
        return c->id;
}

ContainerState container_state(const Container *c)
{
        return c->state;
}

const char *container_state_to_string(ContainerState state)
{
        return state == CONTAINER_RUNNING ? "running" : state == CONTAINER_STOPPED ? "stopped" : "created";
}

pid_t container_init_pid(const Container *c)
{
        return c->state == CONTAINER_RUNNING ? 4711 : 0;
}

const Cgroup *container_cgroup(const Container *c)
{
        return &c->cgroup;
}

/* Descriptors that are there, for a worker that does nothing with them. */
int container_get_join(const Container *c, ContainerJoin *ret, char **reterr_message)
{
        if (streq(c->command, "paused"))
                return error_setf(reterr_message, EBUSY, "cannot exec in a paused container");
        *ret = (ContainerJoin) { .loop = c->loop, .id = c->id, .init_fd = STDERR_FILENO, .root_fd = STDERR_FILENO };
        return 0;
}

int shared_mounts_make(const SharedMounts *mounts, const int *fds, usec_t wait, char **reterr_message)
{
        for (size_t i = 0; i < mounts->n; i++)
                if (fcntl(fds[2 + 2 * i], F_GETFD) < 0 || fcntl(fds[3 + 2 * i], F_GETFD) < 0 ||
                    streq(mounts->v[i].source_path, "/gone"))
                        return error_setf(reterr_message, ENOENT, "shared mount '%s': gone", mounts->v[i].name);
        return 0;
}

int container_update_plan(ContainerUpdate **ret, const Container *c, const Grpc__LinuxResources *resources,
                          const Kata__Systemd__V1__SpecExtension *extension, char **reterr_message)
{
        ContainerUpdate *update;

        if (resources->network)
                return error_setf(reterr_message, EOPNOTSUPP, "network class is not supported");

        update = new0(ContainerUpdate, 1);
        snprintf(update->path, sizeof(update->path), "%s", fake_cgroup);
        update->limit = resources->memory ? resources->memory->limit : 0;
        update->devices = resources->n_devices > 0;
        if (extension && extension->n_unified > 0)
                snprintf(fake_unified, sizeof(fake_unified), "%s=%s", extension->unified[0]->key,
                         extension->unified[0]->value);
        *ret = update;
        return 0;
}

int container_update_devices(Container *c, ContainerUpdate *update, char **reterr_message)
{
        fake_device_updates += update->devices;
        return 0;
}

int container_update_undo(Container *c, ContainerUpdate *update)
{
        fake_device_undos += update->devices;
        return 0;
}

int container_update_files(const ContainerUpdate *update, char **reterr_message)
{
        char path[96], text[32];

        if (update->limit == 13)
                return error_setf(reterr_message, EBUSY, "thirteen");
        if (update->limit == 0)
                return 0;
        snprintf(path, sizeof(path), "%s/memory.max", update->path);
        snprintf(text, sizeof(text), "%" PRIi64, update->limit);
        return write_string_file_at(AT_FDCWD, path, text);
}

ContainerUpdate *container_update_free(ContainerUpdate *update)
{
        free(update);
        return NULL;
}

Loop *fake_loop(const Container *c)
{
        return c->loop;
}

void fake_print(Container *c, const char *out, const char *err)
{
        if (c->io.stdout_fd >= 0)
                (void) write_full(c->io.stdout_fd, out, strlen(out));
        if (c->io.stderr_fd >= 0)
                (void) write_full(c->io.stderr_fd, err, strlen(err));
}

void fake_exit(Container *c, int status)
{
        c->state = CONTAINER_STOPPED;
        close_io(c);
        c->handlers.on_exit(c, status, c->handlers.userdata);
}
