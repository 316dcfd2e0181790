# Sidekiq with a process that works on its queue.
#
# Each method is a step; its name is printed once it has passed.

require_relative "sidekiq_workers"
require "sidekiq/api"
require "tempfile"

LOOKS_MAX = 12_000
LOOK_SECONDS = 0.01

def wait_until
  LOOKS_MAX.times do
    found = yield
    return found if found

    sleep LOOK_SECONDS
  end
  raise "the condition did not hold"
end

def same(found, expected)
  raise "#{found.inspect} is not #{expected.inspect}" unless found == expected
end

def redis(&block)
  Sidekiq.redis(&block)
end

def notes
  redis { |redis| redis.lrange("notes", 0, -1) }
end

def results
  50.times { |number| Add.perform_async(number, number) }
  wait_until { redis { |redis| redis.llen("sums") } == 50 }
  same redis { |redis| redis.lrange("sums", 0, -1) }.map(&:to_i).sort, (0...50).map { |number| 2 * number }
  Sidekiq::Client.push_bulk("class" => Add, "args" => (0...20).map { |number| [number, 0] })
  wait_until { redis { |redis| redis.llen("sums") } == 70 }
end

def later
  Note.perform_in(1, "later")
  removed = Note.perform_in(1, "removed")
  same Sidekiq::ScheduledSet.new.size, 2
  same Sidekiq::ScheduledSet.new.find_job(removed).delete, true
  Note.perform_async("now")
  wait_until { notes.size == 2 }
  same notes, ["now", "later"]
  same Sidekiq::ScheduledSet.new.size, 0
  redis { |redis| redis.del("notes") }
end

# A job that fails waits for its turn to be tried again, which comes now.
def retries
  ThirdTime.perform_async
  2.times do
    failed = wait_until { Sidekiq::RetrySet.new.first }
    same failed.item["error_message"], "not yet"
    failed.retry
  end
  wait_until { notes == ["third time"] }
  same redis { |redis| redis.get("tries") }, "3"
  same Sidekiq::RetrySet.new.size, 0
end

def dead_jobs
  Never.perform_async
  dead = Sidekiq::DeadSet.new
  wait_until { dead.size == 1 }
  first = dead.first
  same first.item["error_message"], "never works"
  first.retry
  wait_until { dead.size == 1 && dead.first.score > first.score }
  dead.clear
end

def ended
  same Sidekiq::ProcessSet.new.first["queues"], ["default"]
  Process.kill("TERM", WORKER)
  Process.wait(WORKER)
  same $?.exitstatus, 0
  same Sidekiq::ProcessSet.new.size, 0
end

# What a process has done it tells at its end at the latest.
def statistics
  stats = Sidekiq::Stats.new
  same [stats.processed, stats.failed], [77, 4]
  same [stats.enqueued, stats.scheduled_size, stats.retry_size, stats.dead_size], [0, 0, 0, 0]
end

PRINTED = Tempfile.new("sidekiq")
WORKER = spawn("sidekiq", "-r", File.join(__dir__, "sidekiq_workers.rb"), "-c", "3", in: File::NULL, out: PRINTED.path, err: PRINTED.path)
begin
  %i[results later retries dead_jobs ended statistics].each do |step|
    send(step)
    puts step
    $stdout.flush
  end
rescue StandardError
  Process.kill("KILL", WORKER)
  warn File.read(PRINTED.path)
  raise
end
