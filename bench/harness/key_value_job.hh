// A job over a store of keys and values in which rank 0 puts all blobs together.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "implementation.hh"

namespace banyan::bench {

class KeyValueJob : public TableJob {
 public:
  using TableJob::TableJob;

  void start(const std::string& blob) override {
    connect();
    table_ = allgather(blob);
  }

  // The last one to be counted opens the gate.
  void barrier() override {
    const std::string name = "barrier-" + std::to_string(++barriers_);
    if (add(name) == place_.ranks) set(name + "-open", "1");
    get(name + "-open");
  }
  std::string allgather(const std::string& bytes) override {
    const std::string name = "allgather-" + std::to_string(++allgathers_) + "-";
    if (place_.rank != 0) {
      set(name + std::to_string(place_.rank), bytes);
      return get(name + "all");
    }
    std::vector<std::string> keys;
    for (int rank = 1; rank < place_.ranks; ++rank) keys.push_back(name + std::to_string(rank));
    std::string all = bytes;
    for (const std::string& value : get_all(keys)) all += value;
    set(name + "all", all);
    return all;
  }
  void broadcast(std::string& bytes, int root) override {
    const std::string name = "broadcast-" + std::to_string(++broadcasts_);
    if (place_.rank == root) return set(name, bytes);
    bytes = get(name);
  }
  void send(int to, const std::string& bytes) override { set(message_name(place_.rank, to, ++sent_[to]), bytes); }
  void receive(int from, std::string& bytes) override {
    bytes = get(message_name(from, place_.rank, ++received_[from]));
  }

 protected:
  virtual void connect() = 0;
  virtual void set(const std::string& key, const std::string& value) = 0;
  // Waits until somebody has set it.
  virtual std::string get(const std::string& key) = 0;
  virtual std::vector<std::string> get_all(const std::vector<std::string>& keys) {
    std::vector<std::string> values;
    for (const std::string& key : keys) values.push_back(get(key));
    return values;
  }
  // Adds 1 and returns the sum.
  virtual std::int64_t add(const std::string& key) = 0;

 private:
  static std::string message_name(int from, int to, int number) {
    return "message-" + std::to_string(from) + "-" + std::to_string(to) + "-" + std::to_string(number);
  }

  int barriers_ = 0;
  int allgathers_ = 0;
  int broadcasts_ = 0;
  std::map<int, int> sent_;
  std::map<int, int> received_;
};

}  // namespace banyan::bench
