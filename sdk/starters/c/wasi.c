// What the C library's printf names of an operating system. There is none: strategies have no files, so each answers
// "bad file descriptor". Another such name in an error of the build means a call that no strategy can make.

#include <wasi/api.h>

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t file) { return __WASI_ERRNO_BADF; }

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t file, int64_t offset, int32_t whence, int32_t to) {
  return __WASI_ERRNO_BADF;
}

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t file, int32_t parts, int32_t parts_len, int32_t written) {
  return __WASI_ERRNO_BADF;
}
