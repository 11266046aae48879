package main.java;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

public class JavaApp {
  public static void main(String[] arguments) throws Exception {
    boolean isKey = Files.readString(Path.of("/secret/java.key")).startsWith("-----BEGIN");
    String answer = System.getenv("GREETED") + ", Java " + Runtime.version().feature() + ", key: " + isKey + ", heap: "
        + Runtime.getRuntime().maxMemory() / 1024 / 1024 + "\n";
    HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
    server.createContext("/", exchange -> {
      byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(200, bytes.length);
      exchange.getResponseBody().write(bytes);
      exchange.close();
    });
    server.start();
    System.out.print(answer);
  }
}
