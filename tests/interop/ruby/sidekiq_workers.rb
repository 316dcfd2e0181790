# The workers of `sidekiq_program.rb`, which the process of Sidekiq loads.

require "sidekiq"

URL = "redis://127.0.0.1:#{ENV.fetch("INTEROP_PORT")}/0"
Sidekiq.configure_client { |config| config.redis = { url: URL } }
Sidekiq.configure_server do |config|
  config.redis = { url: URL }
  # How often it looks at what is due later; by default that goes by a minute.
  config.options[:poll_interval_average] = 0.1
end

class Add
  include Sidekiq::Worker

  def perform(one, other)
    Sidekiq.redis { |redis| redis.rpush("sums", one + other) }
  end
end

class Note
  include Sidekiq::Worker

  def perform(word)
    Sidekiq.redis { |redis| redis.rpush("notes", word) }
  end
end

class ThirdTime
  include Sidekiq::Worker
  sidekiq_options retry: 5

  def perform
    tries = Sidekiq.redis { |redis| redis.incr("tries") }
    raise "not yet" if tries < 3

    Sidekiq.redis { |redis| redis.rpush("notes", "third time") }
  end
end

class Never
  include Sidekiq::Worker
  sidekiq_options retry: 0

  def perform
    raise "never works"
  end
end
