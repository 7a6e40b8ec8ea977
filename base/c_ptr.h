// Owners of what C libraries hand out: CPtr<EVP_PKEY, EVP_PKEY_free>. Any thread, one owner.
#pragma once

#include <memory>

namespace lom {

template <auto free_function>
struct CFree {
    template <typename T>
    void operator()(T* object) const {
        free_function(object);
    }
};

template <typename T, auto free_function>
using CPtr = std::unique_ptr<T, CFree<free_function>>;

} // namespace lom
