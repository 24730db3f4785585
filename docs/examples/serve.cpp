// Serving an export folder from C++, on onnxruntime's shared library.
//
//   serve FOLDER --golden         does this program compute what the model does?
//   serve FOLDER COUNT ID...      the ids of COUNT tokens that are most likely after these, for two equal sequences
//
// All it knows is in manifest.json and the files that it names; docs/manifest.md tells what they mean. It serves exports
// in float32, on the CPU. State stays in buffers that each graph reads from and writes to; no ring is copied by a step.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

// --- onnxruntime's C API. It is one table of functions, of which each has kept its place since version 1; these are
// the places of those used here. With onnxruntime_c_api.h at hand, use the OrtApi of that header.

struct OrtStatus; struct OrtEnv; struct OrtSessionOptions; struct OrtSession; struct OrtValue; struct OrtMemoryInfo;
struct OrtIoBinding; struct OrtAllocator; struct OrtTensorTypeAndShapeInfo;
struct OrtApiBase {
  const void *const *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)();
};
extern "C" const OrtApiBase *OrtGetApiBase();

enum Place {
  GetErrorMessage = 2, CreateEnv = 3, CreateSession = 7, CreateSessionOptions = 10, CreateTensorWithData = 49,
  GetTensorMutableData = 51, GetTensorShapeElementCount = 64, GetTensorTypeAndShape = 65, CreateCpuMemoryInfo = 69,
  AllocatorFree = 76, GetAllocatorWithDefaultOptions = 78, ReleaseValue = 96, ReleaseTensorTypeAndShapeInfo = 99,
  RunWithBinding = 133, CreateIoBinding = 134, ReleaseIoBinding = 135, BindInput = 136, BindOutput = 137,
  BindOutputToDevice = 138, GetBoundOutputValues = 140
};
enum Element { FLOAT = 1, INT64 = 7, BOOL = 9 };

const void *const *api = OrtGetApiBase()->GetApi(1);

// Call the function at a place, of those that return a status, and throw what it says went wrong.
template <typename... Arguments> void ort(Place place, Arguments... arguments) {
  OrtStatus *status = reinterpret_cast<OrtStatus *(*)(Arguments...)>(const_cast<void *>(api[place]))(arguments...);
  if (!status) return;
  auto message = reinterpret_cast<const char *(*)(const OrtStatus *)>(const_cast<void *>(api[GetErrorMessage]));
  throw std::runtime_error(message(status));
}
template <typename T> void release(Place place, T *object) {
  reinterpret_cast<void (*)(T *)>(const_cast<void *>(api[place]))(object);
}

// --- JSON, as much of it as a manifest is made of.

struct Json {
  enum Kind { Null, Bool, Number, String, List, Object } kind = Null;
  double number = 0;
  std::string text;
  std::vector<Json> items;
  std::map<std::string, Json> fields;

  const Json &operator[](const std::string &name) const {
    auto found = fields.find(name);
    if (found == fields.end()) throw std::runtime_error("there is no " + name);
    return found->second;
  }
  bool has(const std::string &name) const { return fields.count(name) > 0; }
  int64_t whole() const { return static_cast<int64_t>(number); }
};

struct Reader {
  const std::string &text;
  size_t at = 0;

  char next() {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at]))) at++;
    if (at == text.size()) throw std::runtime_error("the JSON ends too early");
    return text[at];
  }
  bool take(char c) { return next() == c && ++at; }

  std::string string() {
    std::string found;
    for (at++; text[at] != '"'; at++) {
      if (text[at] != '\\') { found += text[at]; continue; }
      char escaped = text[++at];
      if (escaped == 'u') { found += static_cast<char>(std::stoi(text.substr(at + 1, 4), nullptr, 16)); at += 4; }
      else found += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
    }
    at++;
    return found;
  }

  Json value() {
    Json found;
    char first = next();
    if (first == '{') {
      found.kind = Json::Object;
      for (at++; !take('}'); take(',')) {
        next();
        std::string name = string();
        take(':');
        found.fields[name] = value();
      }
    } else if (first == '[') {
      found.kind = Json::List;
      for (at++; !take(']'); take(',')) found.items.push_back(value());
    } else if (first == '"') {
      found.kind = Json::String;
      found.text = string();
    } else if (first == 't' || first == 'f' || first == 'n') {
      found.kind = first == 'n' ? Json::Null : Json::Bool;
      found.number = first == 't';
      at += first == 'f' ? 5 : 4;
    } else {
      size_t used = 0;
      found.kind = Json::Number;
      found.number = std::stod(text.substr(at, 40), &used);
      at += used;
    }
    return found;
  }
};

Json read(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " cannot be read");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return Reader{text}.value();
}

// --- Tensors: a buffer of this program, and onnxruntime's view of it.

using Shape = std::vector<int64_t>;
OrtMemoryInfo *host = nullptr;

int64_t size(const Shape &shape) {
  int64_t product = 1;
  for (int64_t d : shape) product *= d;
  return product;
}

template <typename T> struct Tensor {
  Shape shape;
  std::vector<T> data;
  OrtValue *value = nullptr;

  Tensor() = default;
  Tensor(Shape dims, T fill) : shape(std::move(dims)), data(size(shape), fill) {
    constexpr int type = sizeof(T) == 8 ? INT64 : sizeof(T) == 1 ? BOOL : FLOAT;
    data.reserve(1); // a memory of no rows has an address too
    ort(CreateTensorWithData, static_cast<const OrtMemoryInfo *>(host), static_cast<void *>(data.data()),
        data.size() * sizeof(T), static_cast<const int64_t *>(shape.data()), shape.size(), type, &value);
  }
  Tensor(Tensor &&other) noexcept { *this = std::move(other); }
  Tensor &operator=(Tensor &&other) noexcept {
    std::swap(shape, other.shape);
    std::swap(data, other.data); // keeps the address that `value` has
    std::swap(value, other.value);
    return *this;
  }
  ~Tensor() { if (value) release(ReleaseValue, value); }
};
using State = std::map<std::string, Tensor<float>>;
const float NEVER = -std::numeric_limits<float>::infinity();

bool ends_with(const std::string &name, const std::string &end) {
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}
std::string renamed(const std::string &name, const std::string &from, const std::string &to) {
  return name.substr(0, name.size() - from.size()) + to;
}

// --- A batch of sequences.

class Server {
public:
  Json manifest;
  int64_t B, V;

  Server(const std::string &folder, int64_t batch) : manifest(read(folder + "/manifest.json")), B(batch) {
    if (manifest["format"].text != "sharnn onnx 3" || manifest["precision"].text != "float32")
      throw std::runtime_error("this program serves exports of the format 'sharnn onnx 3' in float32");
    V = manifest["config"]["vocab"].whole();
    OrtSessionOptions *options = nullptr;
    ort(CreateEnv, 3, "serve", &env);
    ort(CreateCpuMemoryInfo, 0, 0, &host);
    ort(CreateSessionOptions, &options);
    for (const char *graph : {"segment", "step"}) {
      std::string path = folder + "/" + manifest["graphs"][graph]["file"].text;
      ort(CreateSession, static_cast<const OrtEnv *>(env), path.c_str(),
          static_cast<const OrtSessionOptions *>(options), &sessions[graph]);
    }
    state = zeros("segment", {{"M", 0}});
  }

  // tokens (T * B), those of one step after the other; logits (T, B, V).
  std::vector<float> segment(const std::vector<int64_t> &tokens) {
    to_memory();
    const Json &rules = manifest["rules"];
    int64_t T = static_cast<int64_t>(tokens.size()) / B, M = rows, after = 0;
    Tensor<int64_t> ids({T, B}, 0);
    std::copy(tokens.begin(), tokens.end(), ids.data.begin());
    Tensor<float> mask, scale;
    OrtIoBinding *binding = bound("segment");
    bind(BindInput, binding, "tokens", ids);
    if (rules.has("mask")) {
      const std::vector<Json> &cases = rules["mask"]["dropped"].items;
      const Json &rule = *std::find_if(cases.begin(), cases.end(), [&](const Json &c) {
        return c["steps_below"].kind == Json::Null || T < c["steps_below"].whole();
      });
      int64_t dropped = rule["rows"].whole() * M + rule["steps"].whole() * T + rule["plus"].whole();
      dropped = std::min(M, std::max<int64_t>(0, dropped));
      mask = Tensor<float>({T, M + T}, NEVER);
      for (int64_t t = 0; t < T; t++)
        for (int64_t j = dropped; j <= M + t; j++) mask.data[t * (M + T) + j] = 0;
      bind(BindInput, binding, "mask", mask);
      after = std::min(rules["memory"]["most_rows"].whole(), M + T);
    }
    if (rules.has("attention_scale")) {
      scale = Tensor<float>({}, std::pow(static_cast<float>(T), rules["attention_scale"]["power"].number));
      bind(BindInput, binding, "attention_scale", scale);
    }
    State following = zeros("segment", {{"M", after}});
    Tensor<float> logits({T, B, V}, 0);
    for (auto &[name, tensor] : state) bind(BindInput, binding, name, tensor);
    for (auto &[name, tensor] : following) bind(BindOutput, binding, name + ".next", tensor);
    bind(BindOutput, binding, "logits", logits);
    run("segment", binding);
    release(ReleaseIoBinding, binding);
    state = std::move(following);
    rows = after;
    return logits.data;
  }

  // tokens (B); logits (B, V). The state is bound once, and each step writes it where it reads it.
  std::vector<float> step(const std::vector<int64_t> &tokens) {
    to_ring();
    std::copy(tokens.begin(), tokens.end(), step_ids.data.begin());
    if (manifest["rules"].has("ring")) {
      int64_t most_keys = manifest["rules"]["ring"]["most_keys"].whole();
      int64_t slot = written.empty() ? 0 : (written.back() + 1) % most_keys;
      if (slot >= capacity()) throw std::runtime_error("the ring of this export is full, and this step needs more");
      if (static_cast<int64_t>(written.size()) == most_keys) written.erase(written.begin());
      written.push_back(slot);
      for (int64_t line = 0; line < slots.shape[0]; line++) {
        slots.data[2 * line] = line;
        slots.data[2 * line + 1] = slot;
        held.data[line] = static_cast<int64_t>(written.size());
      }
    }
    run("step", stepping);
    return step_logits.data;
  }

  // Of every tensor of the state, the root of the sum of squares of each sequence's numbers.
  std::map<std::string, std::vector<double>> norms() {
    to_memory();
    int64_t H = manifest["config"]["emb"].whole();
    std::map<std::string, std::vector<double>> found;
    for (auto &[name, tensor] : state) {
      if (tensor.data.empty()) continue;
      std::vector<double> squares(B, 0);
      for (size_t i = 0; i < tensor.data.size(); i++)
        squares[i / H % B] += static_cast<double>(tensor.data[i]) * tensor.data[i];
      for (double &square : squares) square = std::sqrt(square);
      found[name] = squares;
    }
    return found;
  }

private:
  OrtEnv *env = nullptr;
  std::map<std::string, OrtSession *> sessions;
  State state;
  int64_t rows = 0;              // M, while there is a memory
  std::vector<int64_t> written;  // slots by age, while there is a ring
  OrtIoBinding *stepping = nullptr;
  Tensor<int64_t> step_ids, slots, held, numbers;
  Tensor<uint8_t> due;           // every sequence takes every step
  Tensor<float> step_logits;

  int64_t capacity() const { return manifest["capacity"].whole(); }

  // Inputs that come back as `<name>.next`: the state. All zeros, but for the ring's bias.
  State zeros(const std::string &graph, std::map<std::string, int64_t> sizes) const {
    sizes["B"] = B;
    sizes["B_heads"] = B * manifest["config"]["heads"].whole();
    State found;
    for (const Json &input : manifest["graphs"][graph]["inputs"].items) {
      const std::string &name = input["name"].text;
      const std::vector<Json> &outputs = manifest["graphs"][graph]["outputs"].items;
      auto continues = [&](const Json &output) {
        return output["name"].text == name + ".next";
      };
      if (std::none_of(outputs.begin(), outputs.end(), continues)) continue;
      Shape shape;
      for (const Json &d : input["shape"].items) shape.push_back(d.kind == Json::String ? sizes.at(d.text) : d.whole());
      found[name] = Tensor<float>(shape, 0);
    }
    return found;
  }

  OrtIoBinding *bound(const std::string &graph) {
    OrtIoBinding *binding = nullptr;
    ort(CreateIoBinding, sessions[graph], &binding);
    return binding;
  }
  template <typename T> void bind(Place place, OrtIoBinding *binding, const std::string &name, Tensor<T> &tensor) {
    ort(place, binding, name.c_str(), static_cast<const OrtValue *>(tensor.value));
  }
  void run(const std::string &graph, OrtIoBinding *binding) {
    ort(RunWithBinding, sessions[graph], static_cast<const void *>(nullptr), static_cast<const OrtIoBinding *>(binding));
  }

  // The state of segments as that of steps: memories become rings, and everything is bound.
  void to_ring() {
    if (stepping) return;
    if (rows > capacity()) throw std::runtime_error("the ring of this export is smaller than the memory");
    State steps = zeros("step", {{"C", capacity()}});
    for (auto &[name, tensor] : state) {
      if (!ends_with(name, ".memory")) steps[name] = std::move(tensor);
      else for (int64_t m = 0; m < rows; m++) move(tensor, m, steps[renamed(name, ".memory", ".ring")], m, false);
    }
    written.clear();
    for (int64_t m = 0; m < rows; m++) written.push_back(m);
    state = std::move(steps);
    stepping = bound("step");
    step_ids = Tensor<int64_t>({B}, 0);
    step_logits = Tensor<float>({B, V}, 0);
    due = Tensor<uint8_t>({B, 1}, 1);
    bind(BindInput, stepping, "tokens", step_ids);
    bind(BindInput, stepping, "due", due);
    bind(BindOutput, stepping, "logits", step_logits);
    for (auto &[name, tensor] : state) {
      bind(BindInput, stepping, name, tensor);
      bind(BindOutput, stepping, name + ".next", tensor);
    }
    if (manifest["rules"].has("ring")) {
      slots = Tensor<int64_t>({B * manifest["config"]["heads"].whole(), 2}, 0);
      held = Tensor<int64_t>({slots.shape[0], 1, 1}, 0);
      numbers = Tensor<int64_t>({capacity()}, 0);
      std::iota(numbers.data.begin(), numbers.data.end(), 0);
      bind(BindInput, stepping, "slots", slots);
      bind(BindInput, stepping, "held", held);
      bind(BindInput, stepping, "numbers", numbers);
    }
  }

  // The state of steps as that of segments: the last rows written, oldest first.
  void to_memory() {
    if (!stepping) return;
    release(ReleaseIoBinding, stepping);
    stepping = nullptr;
    int64_t kept = 0;
    if (manifest["rules"].has("ring"))
      kept = std::min<int64_t>(written.size(), manifest["rules"]["memory"]["most_rows"].whole());
    State segments = zeros("segment", {{"M", kept}});
    for (auto &[name, tensor] : segments) {
      if (!ends_with(name, ".memory")) tensor = std::move(state[name]);
      else for (int64_t m = 0; m < kept; m++)
        move(tensor, m, state[renamed(name, ".memory", ".ring")], written[written.size() - kept + m], true);
    }
    state = std::move(segments);
    rows = kept;
  }

  // Copy row m of a memory (M, B, H) to a slot of a ring (B * heads, C, width), or back.
  void move(Tensor<float> &memory, int64_t m, Tensor<float> &ring, int64_t slot, bool back) const {
    int64_t lines = ring.shape[0], C = ring.shape[1], width = ring.shape[2];
    for (int64_t line = 0; line < lines; line++) {
      float *row = memory.data.data() + (m * lines + line) * width, *place = ring.data.data() + (line * C + slot) * width;
      std::copy_n(back ? place : row, width, back ? row : place);
    }
  }
};

int golden(const std::string &folder) {
  Json vector = read(folder + "/" + read(folder + "/manifest.json")["golden"].text);
  int64_t B = vector["batch"].whole();
  Server server(folder, B);
  size_t token = 0;
  double off = 0, off_norms = 0;
  auto worse = [](double &so_far, double found) { if (!(found <= so_far)) so_far = found; };  // keeps a NaN
  for (const Json &part : vector["parts"].items) {
    std::vector<int64_t> all;
    for (const Json &step : part["tokens"].items) for (const Json &id : step.items) all.push_back(id.whole());
    bool whole = part["graph"].text == "segment";
    for (size_t begin = 0; begin < all.size();) {
      size_t end = whole ? all.size() : begin + B;
      std::vector<int64_t> fed(all.begin() + begin, all.begin() + end);
      std::vector<float> logits = whole ? server.segment(fed) : server.step(fed);
      for (size_t row = 0; row < fed.size(); row++)
        for (size_t i = 0; i < vector["ids"].items.size(); i++)
          worse(off, std::abs(logits[row * server.V + vector["ids"].items[i].whole()] -
                              vector["logits"].items[token + row / B].items[row % B].items[i].number));
      token += fed.size() / B;
      begin = end;
    }
    auto found = server.norms();
    for (auto &[name, norms] : part["norms"].fields)
      for (int64_t b = 0; b < B; b++) worse(off_norms, std::abs(found.at(name)[b] - norms.items[b].number));
  }
  double allowed = vector["tolerance"]["logits"].number, allowed_norms = vector["tolerance"]["norms"].number;
  std::printf("%zu tokens: logits off by %g, allowed %g; norms by %g, allowed %g\n", token, off, allowed, off_norms,
              allowed_norms);
  return off <= allowed && off_norms <= allowed_norms ? 0 : 1;
}

int generate(const std::string &folder, int count, const std::vector<int64_t> &prompt) {
  const int64_t B = 2;
  Server server(folder, B);
  std::vector<int64_t> tokens;
  for (int64_t id : prompt) tokens.insert(tokens.end(), B, id);
  std::vector<float> logits = server.segment(tokens);
  logits.erase(logits.begin(), logits.end() - B * server.V);
  std::vector<std::string> lines(B);
  for (int n = 0; n < count; n++) {
    std::vector<int64_t> next;
    for (int64_t b = 0; b < B; b++) {
      auto first = logits.begin() + b * server.V;
      next.push_back(std::max_element(first, first + server.V) - first);
      lines[b] += std::to_string(next.back()) + " ";
    }
    logits = server.step(next);
  }
  for (const std::string &line : lines) std::printf("%s\n", line.c_str());
  return 0;
}

int main(int count, char **arguments) {
  std::vector<std::string> given(arguments + 1, arguments + count);
  try {
    if (given.size() == 2 && given[1] == "--golden") return golden(given[0]);
    if (given.size() < 3) throw std::runtime_error("serve FOLDER --golden, or serve FOLDER COUNT ID...");
    std::vector<int64_t> prompt;
    for (size_t i = 2; i < given.size(); i++) prompt.push_back(std::stoll(given[i]));
    return generate(given[0], std::stoi(given[1]), prompt);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
