// libFuzzer: command lines, all hostile, through the shell's grammar.
// clang++-19 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I.
//   tests/fuzz/grammar_fuzz.cpp shell/{grammar,text}.cpp
#include "shell/grammar.h"

#include <cstdlib>

using namespace lom;
using namespace lom::shell;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string line(data, data + size);
    const auto command = parse(line);
    if (!command)
        return command.fault().message.empty() ? (std::abort(), 0) : 0;
    // What was understood names a command that exists, and its options hold what they promise.
    if (spec_of(command->verb).name.empty())
        std::abort();
    if (command->options.level && (*command->options.level < 1 || *command->options.level > 255))
        std::abort();
    return 0;
}
