// A team of threads that lives as long as one call: made on entry, joined on exit, so that a fork between two calls
// finds no thread to lose.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace unconv {

// Asked now and then by the calling thread alone; true means: give up as soon as you can.
using Interrupted = std::function<bool()>;

class Team {
public:
    Team(int size, Interrupted interrupted) : interrupted_(std::move(interrupted)) {
        for (int i = 1; i < size; ++i) workers_.emplace_back([this] { serve(); });
    }

    ~Team() {
        quit_.store(true, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const { return static_cast<int>(workers_.size()) + 1; }
    bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

    // body(task) for every task in [0, tasks), in any order, on any thread; returns when all are done.
    template <class Body>
    void run(int64_t tasks, Body&& body) {
        if (tasks <= 0) return;
        if (workers_.empty() || tasks == 1) {
            for (int64_t task = 0; task < tasks && !poll(); ++task) body(task);
            return;
        }
        const std::function<void(int64_t)> job = std::ref(body);
        job_ = &job;
        tasks_ = tasks;
        next_.store(0, std::memory_order_relaxed);
        busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
        work(/*caller=*/true);
        for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; ++spin)
            if (spin > 2000) std::this_thread::yield();
        job_ = nullptr;
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    void work(bool caller) {
        for (;;) {
            const int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
            if (task >= tasks_ || (caller ? poll() : cancelled())) return;
            try {
                (*job_)(task);
            } catch (...) {
                if (!failed_.exchange(true)) failure_ = std::current_exception();
                cancelled_.store(true, std::memory_order_relaxed);
                return;
            }
        }
    }

    void serve() {
        uint64_t seen = 0;
        for (;;) {
            for (int spin = 0; round_.load(std::memory_order_acquire) == seen && spin < 4000; ++spin) {
                if ((spin & 63) == 63) std::this_thread::yield();
            }
            round_.wait(seen, std::memory_order_acquire);
            seen = round_.load(std::memory_order_acquire);
            if (quit_.load(std::memory_order_relaxed)) return;
            work(/*caller=*/false);
            busy_.fetch_sub(1, std::memory_order_release);
        }
    }

    bool poll() {
        if (cancelled()) return true;
        const auto now = std::chrono::steady_clock::now();
        if (now - asked_ < std::chrono::milliseconds(50)) return false;
        asked_ = now;
        if (interrupted_ && interrupted_()) cancelled_.store(true, std::memory_order_relaxed);
        return cancelled();
    }

    std::vector<std::thread> workers_;
    Interrupted interrupted_;
    std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
    const std::function<void(int64_t)>* job_ = nullptr;
    int64_t tasks_ = 0;
    std::exception_ptr failure_;
    std::atomic<bool> failed_{false};
    std::atomic<int64_t> next_{0};
    std::atomic<int> busy_{0};
    std::atomic<uint64_t> round_{0};
    std::atomic<bool> quit_{false};
    std::atomic<bool> cancelled_{false};
};

}  // namespace unconv
