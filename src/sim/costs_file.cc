#include "sim/costs_file.hh"

#include <array>
#include <fstream>
#include <limits>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "sim/built_in_costs.hh"  // made by CMakeLists.txt

namespace banyan::sim {
namespace {

struct Field {
  const char* name;
  std::int64_t Costs::*member;
};
constexpr std::array kFields{
    Field{"start", &Costs::start},
    Field{"formed", &Costs::formed},
    Field{"wake", &Costs::wake},
    Field{"listen", &Costs::listen},
    Field{"connect_tcp", &Costs::connect_tcp},
    Field{"connect_local", &Costs::connect_local},
    Field{"accept_tcp", &Costs::accept_tcp},
    Field{"accept_local", &Costs::accept_local},
    Field{"close", &Costs::close},
    Field{"read_tcp", &Costs::read_tcp},
    Field{"read_local", &Costs::read_local},
    Field{"write_tcp", &Costs::write_tcp},
    Field{"write_local", &Costs::write_local},
    Field{"authenticate", &Costs::authenticate},
    Field{"input", &Costs::input},
    Field{"enclose", &Costs::enclose},
    Field{"map", &Costs::map},
    Field{"read_byte_ps", &Costs::read_byte_ps},
    Field{"write_byte_ps", &Costs::write_byte_ps},
    Field{"enclose_byte_ps", &Costs::enclose_byte_ps},
};
// A second; what is more was meant in another unit.
constexpr std::int64_t kGreatest = 1'000'000'000;

}  // namespace

Costs parse_costs(const std::string& text, const std::string& where) {
  const nlohmann::json object = nlohmann::json::parse(text, nullptr, false, true);
  if (!object.is_object()) throw std::runtime_error(where + " is not a JSON object");
  Costs costs;
  for (const Field& field : kFields) {
    const auto found = object.find(field.name);
    if (found == object.end()) throw std::runtime_error(where + " has no \"" + field.name + "\"");
    if (!found->is_number_integer() || *found < 0 || *found > kGreatest) {
      throw std::runtime_error(where + ": \"" + field.name + "\" must be a whole number from 0 to " +
                               std::to_string(kGreatest) + ", not " + found->dump());
    }
    costs.*field.member = found->get<std::int64_t>();
  }
  return costs;
}

Costs read_costs(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("can't read the costs file " + path);
  return parse_costs({std::istreambuf_iterator<char>(file), {}}, path);
}

Costs built_in_costs() { return parse_costs(kBuiltInCosts, "the built-in costs"); }

std::string to_json(const Costs& costs) {
  nlohmann::ordered_json object;
  for (const Field& field : kFields) object[field.name] = costs.*field.member;
  return object.dump(2);
}

}  // namespace banyan::sim
