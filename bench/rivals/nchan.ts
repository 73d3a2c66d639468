/** The settings of an nginx with nchan: one worker, memory store, defaults but for what is said beside a line. */
export function nchanConfig(folder: string, port: number, module: string | null): string {
  return `
daemon off;
user root;
${module === null ? "" : `load_module ${module};`}
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 100000000;                  # a publisher keeps its connection, as with the others
  nchan_shared_memory_size 512m;                 # so that 10,000 channels fit
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/channel/([^/]+)/stream$ {
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;     # a fresh stream gets no history, as with the others
      nchan_message_buffer_length 1000;          # a burst must not run out of it
    }
    location ~ ^/publish/([^/]+)$ {
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 1000;
    }
  }
}
`;
}
