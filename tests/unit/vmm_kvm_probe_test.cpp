#include "vmm/kvm_probe.h"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace lom::vmm {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class KvmProbeTest : public testing::Test {
  protected:
    KvmProbeTest() {
        std::string name = testing::TempDir() + "kvm-probe-XXXXXX";
        folder_ = mkdtemp(name.data());
    }
    ~KvmProbeTest() override { std::filesystem::remove_all(folder_); }

    std::string file(const std::string& name, const std::string& content) {
        std::ofstream(folder_ + "/" + name) << content;
        return folder_ + "/" + name;
    }
    KvmProbe without_device(const std::string& flags) {
        return probe_kvm(folder_ + "/kvm",
                         file("cpuinfo", "model name\t: svm vmx\nflags\t\t: fpu " + flags + "\n"));
    }

    std::string folder_;
};

TEST_F(KvmProbeTest, ThisMachine) {
    const auto start = std::chrono::steady_clock::now();
    const KvmProbe probe = probe_kvm();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
    std::cout << "usable=" << probe.usable << " real_mode=" << probe.real_mode << " "
              << probe.reason << " " << probe.remedy << "\n";
    EXPECT_TRUE(probe.reason.ends_with("."));
    EXPECT_TRUE(probe.real_mode || !probe.usable);
    EXPECT_EQ(probe.usable, probe.remedy.empty() && probe.real_mode);
    if (access("/dev/kvm", R_OK | W_OK) != 0) {
        EXPECT_FALSE(probe.real_mode);
    }
}

TEST_F(KvmProbeTest, NamesTheModuleThatIsNotLoaded) {
    const KvmProbe intel = without_device("vmx sse");
    EXPECT_FALSE(intel.usable || intel.real_mode);
    EXPECT_THAT(intel.reason, HasSubstr("kvm_intel is not loaded"));
    EXPECT_THAT(intel.remedy, HasSubstr("modprobe kvm_intel"));
    EXPECT_THAT(without_device("sse svm").remedy, HasSubstr("modprobe kvm_amd"));
}

TEST_F(KvmProbeTest, NamesTheBiosSwitch) {
    const KvmProbe probe = without_device("svm_lock novmx");
    EXPECT_THAT(probe.reason, HasSubstr("no hardware virtualisation"));
    EXPECT_THAT(probe.remedy, HasSubstr("BIOS setup"));
    EXPECT_THAT(probe_kvm(folder_ + "/kvm", "/nowhere").remedy, HasSubstr("BIOS setup"));
}

TEST_F(KvmProbeTest, NamesThePermission) {
    const std::string device = file("kvm", "");
    ASSERT_EQ(chmod(device.c_str(), 0), 0);
    if (geteuid() == 0) {
        // Root may open everything; a child that is nobody may not.
        ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
        EXPECT_EXIT(
            {
                if (setegid(65534) != 0 || seteuid(65534) != 0)
                    _exit(2);
                const KvmProbe probe = probe_kvm(device);
                const bool told = probe.reason.starts_with("No permission to open") &&
                                  probe.remedy.find("group kvm") != std::string::npos;
                _exit(told && !probe.usable ? 0 : 1);
            },
            testing::ExitedWithCode(0), "");
        return;
    }
    const KvmProbe probe = probe_kvm(device);
    EXPECT_THAT(probe.reason, StartsWith("No permission to open"));
    EXPECT_THAT(probe.remedy, HasSubstr("group kvm"));
}

TEST_F(KvmProbeTest, WhatIsNotKvmIsToldApart) {
    const KvmProbe probe = probe_kvm("/dev/null");
    EXPECT_FALSE(probe.usable || probe.real_mode);
    EXPECT_THAT(probe.reason, StartsWith("/dev/null opens but cannot"));
    EXPECT_THAT(probe_kvm(folder_).reason, HasSubstr("Is a directory"));
}

} // namespace
} // namespace lom::vmm
