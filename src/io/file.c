/* Files, blocking: the only place of src/io that loops over read and write. A file that must
 * survive a crash is written, fsynced, renamed, and its directory fsynced, in this order (Pillai et
 * al., OSDI 2014, on what goes wrong otherwise). An fsync that failed is never tried again: the
 * kernel may have dropped the pages it could not write (Rebello et al., ATC 2020); the caller
 * discards the file. */
#include "io/file.h"

#include "mapreduce/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum error file_error(int number)
{
    switch (number) {
    case EEXIST: return ERROR_EXISTS;
    case EMFILE:
    case ENFILE: return ERROR_SYSTEM;
    }
    return error_of_errno(number, ERROR_IO);
}

bool file_path(char path[FILE_PATH_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(path, FILE_PATH_MAX, format, arguments);
    va_end(arguments);
    return size > 0 && size < FILE_PATH_MAX;
}

enum error file_make_directory(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST) return ERROR_NONE;
    return file_error(errno);
}

enum error file_make_directories(const char *path, mode_t mode)
{
    char part[FILE_PATH_MAX];
    if (!file_path(part, "%s", path)) return ERROR_INVALID;
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at != '/') continue;
        *at = '\0';
        enum error error = file_make_directory(part, mode);
        if (error != ERROR_NONE) return error;
        *at = '/';
    }
    return file_make_directory(part, mode);
}

enum error file_write(int file, struct slice bytes)
{
    while (bytes.count > 0) {
        ssize_t count = write(file, bytes.at, bytes.count);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return file_error(errno);
        bytes.at += count;
        bytes.count -= (size_t)count;
    }
    return ERROR_NONE;
}

enum error file_read(int file, void *bytes, size_t size, uint64_t offset)
{
    uint8_t *at = bytes;
    while (size > 0) {
        ssize_t count = pread(file, at, size, (off_t)offset);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return file_error(errno);
        if (count == 0) return ERROR_CORRUPT;
        at += count;
        size -= (size_t)count;
        offset += (uint64_t)count;
    }
    return ERROR_NONE;
}

enum error file_put(const char *path, struct slice bytes, mode_t mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (file < 0) return file_error(errno);
    enum error error = file_write(file, bytes);
    if (error == ERROR_NONE && fsync(file) != 0) error = file_error(errno);
    if (close(file) != 0 && error == ERROR_NONE) error = file_error(errno);
    if (error != ERROR_NONE) unlink(path);
    return error;
}

enum error file_get(const char *path, void *bytes, size_t size, size_t *count)
{
    *count = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return file_error(errno);
    struct stat status;
    enum error error = fstat(file, &status) == 0 ? ERROR_NONE : file_error(errno);
    if (error == ERROR_NONE && (!S_ISREG(status.st_mode) || status.st_size < 0))
        error = ERROR_INVALID;
    if (error == ERROR_NONE && (uint64_t)status.st_size > size) error = ERROR_FULL;
    if (error == ERROR_NONE) error = file_read(file, bytes, (size_t)status.st_size, 0);
    if (error == ERROR_NONE) *count = (size_t)status.st_size;
    close(file);
    return error;
}

/* The bytes from one descriptor to another; inside the kernel where the file system can. */
static enum error copy_bytes(int from, int to)
{
    enum {
        COPY_PIECE = 1 << 30
    };
    char buffer[16384];
    ssize_t count;
    while ((count = copy_file_range(from, NULL, to, NULL, COPY_PIECE, 0)) > 0) continue;
    if (count == 0) return ERROR_NONE;
    if (errno != EXDEV && errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP)
        return file_error(errno);
    while ((count = read(from, buffer, sizeof buffer)) > 0) {
        enum error error = file_write(to, slice_of(buffer, (size_t)count));
        if (error != ERROR_NONE) return error;
    }
    return count == 0 ? ERROR_NONE : file_error(errno);
}

enum error file_copy(const char *from, const char *to, mode_t mode)
{
    int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0) return file_error(errno);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    enum error error = target < 0 ? file_error(errno) : copy_bytes(source, target);
    if (error == ERROR_NONE && fchmod(target, mode) != 0) error = file_error(errno);
    if (target >= 0 && close(target) != 0 && error == ERROR_NONE) error = file_error(errno);
    close(source);
    return error;
}

enum error file_sync(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return file_error(errno);
    enum error error = fsync(file) == 0 ? ERROR_NONE : file_error(errno);
    close(file);
    return error;
}

void file_remove_tree(const char *path) { sweep_tree(path); }
