/* CUDA as a machine with two GPUs would have it, but for the computing: memory is the host's, copies are made, kernels
   are not run. Only what must answer with more than success is here; pretend_cuda.py adds the rest. */

#include <stdlib.h>
#include <string.h>

typedef int Status;
typedef void *Handle;

Status cuDeviceGetCount(int *count) { *count = 2; return 0; }
Status cuDriverGetVersion(int *version) { *version = 13000; return 0; }
Status cudaGetDeviceCount(int *count) { *count = 2; return 0; }
Status cudaGetDevice(int *device) { *device = 0; return 0; }
Status cudaDriverGetVersion(int *version) { *version = 13000; return 0; }
Status cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }
const char *cudaGetErrorString(Status status) { return "an error of a GPU that is not there"; }
const char *cudaGetErrorName(Status status) { return "cudaErrorPretended"; }

/* The first fields of CUDA 13's cudaDeviceProp, and room for all of them: it has 1008 bytes. */
struct Properties {
    char name[288];
    size_t memory, shared_per_block;
    int registers, warp, unused[2], threads_per_block, threads[3], grid[3], unused_too[3], major, minor;
};

Status cudaGetDeviceProperties(struct Properties *properties, int device) {
    memset(properties, 0, 1008);
    strcpy(properties->name, "pretended");
    properties->memory = 80ull << 30;
    properties->shared_per_block = 49152;
    properties->warp = 32;
    properties->threads_per_block = 1024;
    properties->major = 9;
    *(int *)((char *)properties + 384) = 132; /* multiprocessors */
    return 0;
}

Status cudaDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1; /* compute capability 9.0 */
    return 0;
}

Status cudaMalloc(Handle *memory, size_t size) {
    *memory = aligned_alloc(256, (size + 511) / 256 * 256);
    return *memory == NULL;
}
Status cudaMallocHost(Handle *memory, size_t size) { return cudaMalloc(memory, size); }
Status cudaHostAlloc(Handle *memory, size_t size, unsigned flags) { return cudaMalloc(memory, size); }
Status cudaMallocFromPoolAsync(Handle *memory, size_t size, Handle pool, Handle stream) {
    return cudaMalloc(memory, size);
}
Status cudaFree(Handle memory) { free(memory); return 0; }
Status cudaFreeHost(Handle memory) { free(memory); return 0; }
Status cudaFreeAsync(Handle memory, Handle stream) { free(memory); return 0; }
Status cudaMemGetInfo(size_t *left, size_t *all) { *left = 70ull << 30; *all = 80ull << 30; return 0; }
Status cudaPointerGetAttributes(int *attributes, Handle memory) {
    memset(attributes, 0, 24);
    attributes[0] = 2; /* memory of the device */
    return 0;
}

/* What is copied from the GPU to the host is counted. */
static int to_host = 0;
int pretended_to_host(void) { return to_host; }
Status cudaMemcpy(Handle to, Handle from, size_t size, int kind) {
    to_host += kind == 2;
    memcpy(to, from, size);
    return 0;
}
Status cudaMemcpyAsync(Handle to, Handle from, size_t size, int kind, Handle stream) {
    return cudaMemcpy(to, from, size, kind);
}
Status cudaMemset(Handle to, int value, size_t size) { memset(to, value, size); return 0; }
Status cudaMemsetAsync(Handle to, int value, size_t size, Handle stream) { memset(to, value, size); return 0; }

static Status made(Handle *handle) { *handle = calloc(1, 4096); return 0; }
Status cudaEventCreate(Handle *event) { return made(event); }
Status cudaEventCreateWithFlags(Handle *event, unsigned flags) { return made(event); }
Status cudaStreamCreate(Handle *stream) { return made(stream); }
Status cudaStreamCreateWithFlags(Handle *stream, unsigned flags) { return made(stream); }
Status cudaMemPoolCreate(Handle *pool, Handle properties) { return made(pool); }
Status cublasCreate_v2(Handle *handle) { return made(handle); }
Status cublasLtCreate(Handle *handle) { return made(handle); }
Status cudnnCreate(Handle *handle) { return made(handle); }
Handle __cudaRegisterFatBinary(Handle binary) { return calloc(1, 8); }
Status cudaGetDriverEntryPointByVersion(const char *name, Handle *entry, unsigned version, unsigned long long flags,
                                        int *result) {
    *entry = NULL;
    return 1;
}

/* Kernels that run, and CUDA graphs: what was recorded, replayed and freed is counted. */
static int recording = 0, recorded = 0, replayed = 0, freed = 0, launched = 0;
int pretended_recordings(void) { return recorded; }
int pretended_replays(void) { return replayed; }
int pretended_freed(void) { return freed; }
int pretended_launches(void) { return launched; }
static Status launch(void) { if (!recording) launched++; return 0; }
Status cudaLaunchKernel(Handle kernel) { return launch(); }
Status cudaLaunchKernelExC(Handle kernel) { return launch(); }
Status cudaGraphExecDestroy(Handle executable) { freed++; free(executable); return 0; }
Status cudaStreamIsCapturing(Handle stream, int *status) { *status = recording; return 0; }
Status cudaStreamBeginCapture(Handle stream, int mode) { recording = 1; return 0; }
Status cudaStreamEndCapture(Handle stream, Handle *graph) {
    recording = 0;
    recorded++;
    return made(graph);
}
Status cudaGraphInstantiate(Handle *executable, Handle graph, unsigned long long flags) { return made(executable); }
Status cudaGraphLaunch(Handle executable, Handle stream) { replayed++; return 0; }

/* cuDNN's LSTM asks how much room it needs, and where its weights lie in it. */
static char room[1 << 24];
size_t cudnnGetVersion(void) { return 91000; }
const char *cudnnGetErrorString(Status status) { return "an error of a cuDNN that is not there"; }
Status cudnnDropoutGetStatesSize(Handle handle, size_t *size) { *size = 64; return 0; }
Status cudnnGetRNNWeightSpaceSize(Handle handle, Handle rnn, size_t *size) { *size = sizeof room; return 0; }
Status cudnnGetRNNTempSpaceSizes(Handle handle, Handle rnn, int mode, Handle x, size_t *work, size_t *reserve) {
    *work = 1 << 20;
    if (reserve) *reserve = 1 << 20;
    return 0;
}
Status cudnnGetRNNWeightParams(Handle handle, Handle rnn, int layer, size_t size, Handle weights, int gate, Handle m,
                               Handle *matrix, Handle b, Handle *bias) {
    *matrix = *bias = room;
    return 0;
}
Status cudnnGetTensorNdDescriptor(Handle tensor, int asked, int *type, int *count, int *sizes, int *strides) {
    *type = 0;
    *count = 3;
    for (int i = 0; i < 3; i++) sizes[i] = strides[i] = 1;
    return 0;
}
