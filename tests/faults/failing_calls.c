/* Runs a program and makes one of its system calls fail, or all from one on.
 *
 *   failing_calls ROOT LOG SECONDS CLASS N once|always ERRNO PROGRAM [ARGUMENT…]
 *
 * Only calls on files below ROOT count, and starts of threads. The N-th call of CLASS gives ERRNO without having been
 * made; with N = 0 none fails. LOG gets a line for each call that counts, `CLASS NUMBER NAME PATH`, with `!` before those
 * that failed, and last `= exit CODE`, `= signal NUMBER` or `= timeout`. The exit status is 0 whenever LOG has that line,
 * and 77 where this system lets no program watch another's calls.
 *
 * The kernel itself asks this program about each call (seccomp's user notification), so that it does not matter whether
 * a call comes through the C library. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "failing_calls knows x86-64 and aarch64"
#endif

#define CANNOT 77
#define NONE (-1)

/* Where a call names what it works on: a path, with the folder that it starts from, or one or two descriptors. */
enum way { PATH, PATHS, HANDLE, HANDLES, THREAD };

struct call {
    long number;
    const char *class, *name;
    enum way way;
    int first, second; /* PATH: argument of the folder or NONE, of the path; PATHS: of both paths; else of descriptors */
};

#define CALL(name, class, way, first, second) { SYS_##name, class, #name, way, first, second }

static const struct call calls[] = {
#ifdef SYS_open
    CALL(open, "open", PATH, NONE, 0),
    CALL(creat, "open", PATH, NONE, 0),
    CALL(stat, "stat", PATH, NONE, 0),
    CALL(lstat, "stat", PATH, NONE, 0),
    CALL(access, "stat", PATH, NONE, 0),
    CALL(readlink, "stat", PATH, NONE, 0),
    CALL(rename, "rename", PATHS, 0, 1),
    CALL(link, "rename", PATHS, 0, 1),
    CALL(symlink, "rename", PATHS, 0, 1),
    CALL(unlink, "unlink", PATH, NONE, 0),
    CALL(rmdir, "unlink", PATH, NONE, 0),
    CALL(mkdir, "mkdir", PATH, NONE, 0),
    CALL(chmod, "attributes", PATH, NONE, 0),
#endif
    CALL(openat, "open", PATH, 0, 1),
    CALL(openat2, "open", PATH, 0, 1),
#ifdef SYS_newfstatat
    CALL(newfstatat, "stat", PATH, 0, 1),
#endif
    CALL(fstat, "stat", HANDLE, 0, NONE),
    CALL(statx, "stat", PATH, 0, 1),
    CALL(faccessat, "stat", PATH, 0, 1),
    CALL(faccessat2, "stat", PATH, 0, 1),
    CALL(readlinkat, "stat", PATH, 0, 1),
    CALL(statfs, "stat", PATH, NONE, 0),
    CALL(fstatfs, "stat", HANDLE, 0, NONE),
    CALL(getdents64, "list", HANDLE, 0, NONE),
    CALL(read, "read", HANDLE, 0, NONE),
    CALL(pread64, "read", HANDLE, 0, NONE),
    CALL(readv, "read", HANDLE, 0, NONE),
    CALL(preadv, "read", HANDLE, 0, NONE),
    CALL(write, "write", HANDLE, 0, NONE),
    CALL(pwrite64, "write", HANDLE, 0, NONE),
    CALL(writev, "write", HANDLE, 0, NONE),
    CALL(pwritev, "write", HANDLE, 0, NONE),
    CALL(copy_file_range, "copy", HANDLES, 2, 0),
    CALL(sendfile, "copy", HANDLES, 0, 1),
    CALL(fsync, "sync", HANDLE, 0, NONE),
    CALL(fdatasync, "sync", HANDLE, 0, NONE),
    CALL(renameat, "rename", PATHS, 1, 3),
    CALL(renameat2, "rename", PATHS, 1, 3),
    CALL(linkat, "rename", PATHS, 1, 3),
    CALL(symlinkat, "rename", PATHS, 0, 2),
    CALL(unlinkat, "unlink", PATH, 0, 1),
    CALL(mkdirat, "mkdir", PATH, 0, 1),
    CALL(ftruncate, "truncate", HANDLE, 0, NONE),
    CALL(fallocate, "truncate", HANDLE, 0, NONE),
    CALL(fchmod, "attributes", HANDLE, 0, NONE),
    CALL(fchmodat, "attributes", PATH, 0, 1),
    CALL(fchown, "attributes", HANDLE, 0, NONE),
    CALL(utimensat, "attributes", PATH, 0, 1),
    CALL(flock, "lock", HANDLE, 0, NONE),
    CALL(fcntl, "lock", HANDLE, 0, NONE),
    CALL(mmap, "map", HANDLE, 4, NONE),
    CALL(clone, "thread", THREAD, NONE, NONE),
    CALL(clone3, "thread", THREAD, NONE, NONE),
};
#define CALLS (sizeof calls / sizeof *calls)

static const char *root;

static void fail(const char *what) {
    fprintf(stderr, "failing_calls: %s: %s\n", what, strerror(errno));
    exit(CANNOT);
}

/* Stops at the calls of the table; of fcntl only at locks, of mmap only at files, of clone only at threads. */
static int watch(void) {
    struct sock_filter program[CALLS * 8 + 8];
    size_t length = 0;
#define ADD(...) (program[length++] = (struct sock_filter)__VA_ARGS__)
#define ARGUMENT(n) offsetof(struct seccomp_data, args[n])
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    for (size_t at = 0; at < CALLS; at++) {
        long number = calls[at].number;
        int special = number == SYS_fcntl || number == SYS_mmap || number == SYS_clone;
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, special ? 6 : 1));
        if (number == SYS_fcntl) {
            ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(1)));
            ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETLK, 3, 0));
            ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETLKW, 2, 0));
            ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_OFD_SETLK, 1, 0));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        } else if (number == SYS_mmap) {
            ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(4)));
            ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffffu, 0, 3));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        } else if (number == SYS_clone) {
            ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(0)));
            ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 3, 0));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        }
        ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    }
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    struct sock_fprog filter = { .len = (unsigned short)length, .filter = program };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

union rights {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

static void send_handle(int channel, int handle) {
    union rights rights = { { 0 } };
    char byte = handle >= 0;
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (handle >= 0) {
        message.msg_control = rights.bytes;
        message.msg_controllen = sizeof rights.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &handle, sizeof(int));
    }
    sendmsg(channel, &message, 0);
}

static int receive_handle(int channel) {
    union rights rights;
    char byte = 0;
    int handle = -1;
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights };
    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == 1 && byte && CMSG_FIRSTHDR(&message))
        memcpy(&handle, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return handle;
}

static int below_root(const char *path) {
    size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static void link_target(char *path, size_t size, int pid, const char *what) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/%s", pid, what);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void handle_path(char *path, size_t size, int pid, int handle) {
    char what[32];
    snprintf(what, sizeof what, "fd/%d", handle);
    link_target(path, size, pid, what);
}

/* The path in the memory of the program; page by page, for the next one may not be there. */
static void path_at(char *path, size_t size, int pid, unsigned long long address) {
    size_t got = 0;
    while (got < size - 1) {
        size_t piece = 4096 - (address + got) % 4096;
        if (piece > size - 1 - got)
            piece = size - 1 - got;
        struct iovec here = { path + got, piece }, there = { (void *)(address + got), piece };
        ssize_t read = process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (read <= 0)
            break;
        got += (size_t)read;
        if (memchr(path + got - read, 0, (size_t)read))
            return;
    }
    path[got] = 0;
}

static void full_path(char *path, size_t size, int pid, int folder, unsigned long long address) {
    char name[4096];
    path_at(name, sizeof name, pid, address);
    if (name[0] == '/') {
        snprintf(path, size, "%s", name);
        return;
    }
    if (folder == AT_FDCWD)
        link_target(path, size, pid, "cwd");
    else
        handle_path(path, size, pid, folder);
    size_t length = strlen(path);
    if (name[0])
        snprintf(path + length, size - length, "/%s", name);
}

/* A lock is given back; that does not fail. */
static int lets_go(int pid, unsigned long long address) {
    struct flock lock = { 0 };
    struct iovec here = { &lock, sizeof lock }, there = { (void *)address, sizeof lock };
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof lock && lock.l_type == F_UNLCK;
}

/* Whether the call is on something below the root, and on what. */
static int counts(const struct call *call, const struct seccomp_notif *asked, char *path, size_t size) {
    const __u64 *arguments = asked->data.args;
    int pid = (int)asked->pid, folder;
    path[0] = 0;
    switch (call->way) {
    case THREAD:
        snprintf(path, size, "-");
        return 1;
    case PATH:
        folder = call->first == NONE ? AT_FDCWD : (int)arguments[call->first];
        full_path(path, size, pid, folder, arguments[call->second]);
        return below_root(path);
    case PATHS:
        for (int turn = 0; turn < 2; turn++) {
            int at = turn ? call->first : call->second;
            int with_folder = strstr(call->name, "at") != NULL && at > 0;
            full_path(path, size, pid, with_folder ? (int)arguments[at - 1] : AT_FDCWD, arguments[at]);
            if (below_root(path))
                return 1;
        }
        return 0;
    case HANDLES:
        handle_path(path, size, pid, (int)arguments[call->second]);
        if (below_root(path))
            return 1;
        /* fall through */
    case HANDLE:
        handle_path(path, size, pid, (int)arguments[call->first]);
        return below_root(path) && !(call->number == SYS_fcntl && lets_go(pid, arguments[2]));
    }
    return 0;
}

int main(int count, char **words) {
    if (count < 9) {
        fprintf(stderr, "usage: failing_calls ROOT LOG SECONDS CLASS N once|always ERRNO PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    root = words[1];
    double seconds = atof(words[3]);
    const char *class = words[4];
    long which = atol(words[5]);
    int always = strcmp(words[6], "always") == 0, error = atoi(words[7]);
    int channel[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0)
        fail("socketpair");
    FILE *log = fopen(words[2], "we");
    if (!log)
        fail(words[2]);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        send_handle(channel[1], watch());
        execv(words[8], words + 8);
        _exit(127);
    }
    close(channel[1]);
    int listener = receive_handle(channel[0]);
    if (listener < 0) {
        errno = ENOTSUP;
        fail("watching system calls");
    }
    int ended = (int)syscall(SYS_pidfd_open, child, 0);
    if (ended < 0)
        fail("pidfd_open");
    struct seccomp_notif_sizes sizes;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0)
        fail("the sizes of notifications");
    struct seccomp_notif *asked = calloc(1, sizes.seccomp_notif + sizeof *asked);
    struct seccomp_notif_resp *answer = calloc(1, sizes.seccomp_notif_resp + sizeof *answer);
    /* One counter a class: it lies with the first call of that class. */
    long numbers[CALLS] = { 0 };
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        struct pollfd both[2] = { { listener, POLLIN, 0 }, { ended, POLLIN, 0 } };
        poll(both, 2, 100);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 > seconds) {
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
            fprintf(log, "= timeout\n");
            break;
        }
        if (both[0].revents & POLLIN) {
            memset(asked, 0, sizes.seccomp_notif);
            if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, asked) != 0)
                continue; /* the thread is gone */
            memset(answer, 0, sizes.seccomp_notif_resp);
            answer->id = asked->id;
            answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
            size_t at = 0, first = 0;
            while (at < CALLS && calls[at].number != asked->data.nr)
                at++;
            char path[8192];
            if (at < CALLS && counts(&calls[at], asked, path, sizeof path)) {
                while (strcmp(calls[first].class, calls[at].class) != 0)
                    first++;
                long number = ++numbers[first];
                int fails = which > 0 && strcmp(class, calls[at].class) == 0 && (always ? number >= which : number == which);
                if (fails) {
                    answer->flags = 0;
                    answer->error = -error;
                }
                fprintf(log, "%s%s %ld %s %s\n", fails ? "!" : "", calls[at].class, number, calls[at].name, path);
            }
            ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer);
            continue;
        }
        if (both[1].revents & POLLIN) {
            int status = 0;
            waitpid(child, &status, 0);
            if (WIFEXITED(status))
                fprintf(log, "= exit %d\n", WEXITSTATUS(status));
            else
                fprintf(log, "= signal %d\n", WTERMSIG(status));
            break;
        }
    }
    return fclose(log) == 0 ? 0 : CANNOT;
}
