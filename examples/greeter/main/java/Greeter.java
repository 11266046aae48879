package main.java;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** Greets over HTTPS. Certificate and key are files that the CAS made, and that only the attested program sees. */
public class Greeter {
  private static final int PORT = 8443;

  public static void main(String[] arguments) throws Exception {
    var keys = KeyManagerFactory.getInstance("PKIX");
    keys.init(keyStore(Path.of("/tls/greeter.crt"), Path.of("/tls/greeter.key")), new char[0]);
    var tls = SSLContext.getInstance("TLS");
    tls.init(keys.getKeyManagers(), null, null);
    var server = HttpsServer.create(new InetSocketAddress(PORT), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(tls));
    var greeting = (System.getenv("GREETING") + "\n").getBytes(UTF_8);
    server.createContext("/", exchange -> {
      exchange.sendResponseHeaders(200, greeting.length);
      try (var body = exchange.getResponseBody()) {
        body.write(greeting);
      }
    });
    server.start();
    System.out.println("greeting on port " + PORT);
  }

  /** A key store in memory from PEM files: Java has none that reads them. */
  private static KeyStore keyStore(Path certificates, Path key) throws Exception {
    Certificate[] chain;
    try (var pem = Files.newInputStream(certificates)) {
      chain = CertificateFactory.getInstance("X.509").generateCertificates(pem).toArray(Certificate[]::new);
    }
    var pkcs8 = Base64.getDecoder().decode(Files.readString(key).replaceAll("-----[A-Z ]+-----|\\s", ""));
    var store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setKeyEntry("greeter", KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(pkcs8)), new char[0], chain);
    return store;
  }
}
