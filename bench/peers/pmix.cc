// PMIx by itself, as process managers offer it: everybody puts its blob, a fence collects them, and each is got.
#include <pmix.h>

#include <cstring>

#include "launched.hh"

namespace banyan::bench {
namespace {

constexpr const char* kKey = "banyan.blob";

void expect(pmix_status_t status, const char* what) {
  if (status != PMIX_SUCCESS) throw std::runtime_error(std::string(what) + ": " + ::PMIx_Error_string(status));
}

class PmixJob : public Job {
 public:
  explicit PmixJob(const Place& place) : place_(place) {}
  ~PmixJob() override { ::PMIx_Finalize(nullptr, 0); }

  void start(const std::string& blob) override {
    expect(::PMIx_Init(&self_, nullptr, 0), "PMIx_Init");
    pmix_value_t value;
    value.type = PMIX_BYTE_OBJECT;
    value.data.bo.bytes = const_cast<char*>(blob.data());
    value.data.bo.size = blob.size();
    expect(::PMIx_Put(PMIX_GLOBAL, kKey, &value), "PMIx_Put");
    expect(::PMIx_Commit(), "PMIx_Commit");
    fence(true);
    for (int rank = 0; rank < place_.ranks; ++rank) blobs_.push_back(get(rank));
  }
  std::string blob_of(int rank) override { return blobs_.at(static_cast<std::size_t>(rank)); }
  void barrier() override { fence(false); }

 private:
  void fence(bool collect) {
    pmix_info_t info;
    PMIX_INFO_CONSTRUCT(&info);
    PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
    expect(::PMIx_Fence(nullptr, 0, &info, 1), "PMIx_Fence");
    PMIX_INFO_DESTRUCT(&info);
  }
  std::string get(int rank) {
    pmix_proc_t proc = self_;
    proc.rank = static_cast<pmix_rank_t>(rank);
    pmix_value_t* value = nullptr;
    expect(::PMIx_Get(&proc, kKey, nullptr, 0, &value), "PMIx_Get");
    const std::string blob(value->data.bo.bytes, value->data.bo.size);
    PMIX_VALUE_RELEASE(value);
    return blob;
  }

  Place place_;
  pmix_proc_t self_{};
  std::vector<std::string> blobs_;
};

}  // namespace
}  // namespace banyan::bench

int main(int argument_count, char** arguments) {
  return banyan::bench::launched_main<banyan::bench::PmixJob>(argument_count, arguments, ::PMIx_Get_version());
}
